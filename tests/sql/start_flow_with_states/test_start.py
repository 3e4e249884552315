"""``start_flow_with_states``: starts a run and returns its snapshot."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.fixtures.sql import Sql, json


def start(sql: Sql, value: Any, **arguments: Any) -> Any:
    ((document,),) = sql.call("pgflow.start_flow_with_states", flow_slug="flow", input=json(value), **arguments)
    return document


def test_it_lists_all_steps_and_roots_are_already_started(sql: Sql) -> None:
    sql.define("flow", "a", "b", "c < a b")
    document = start(sql, {"x": 1})
    statuses = {step["step_slug"]: step["status"] for step in document["steps"]}
    assert statuses == {"a": "started", "b": "started", "c": "created"}
    assert (document["run"]["status"], document["run"]["input"]) == ("started", {"x": 1})


def test_the_given_id_is_used(sql: Sql) -> None:
    sql.define("flow", "a")
    run_id = uuid4()
    assert start(sql, {}, run_id=run_id)["run"]["run_id"] == str(run_id)
    assert sql.run(run_id).status == "started"


def test_it_is_the_snapshot_of_get_run_with_states(sql: Sql) -> None:
    sql.define("flow", "each[]", "after < each")
    document = start(sql, [1, 2])
    run_id = document["run"]["run_id"]
    assert sql.value("select pgflow.get_run_with_states(%(run_id)s)", run_id=run_id) == document


def test_a_run_that_ends_at_once_is_shown_ended(sql: Sql) -> None:
    sql.define("flow", "each[]")
    assert start(sql, [])["run"]["status"] == "completed"


def test_errors_of_start_flow_pass_through(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="runs_flow_slug_fkey"):
        start(sql, {})
