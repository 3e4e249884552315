"""``restart_run``: a new run, linked to the old one."""

from __future__ import annotations

import uuid

import psycopg
import pytest

from tests.fixtures.sql import Sql, json
from tests.integration.control.conftest import cancel, details, restart, start


def test_the_new_run_has_the_same_input_and_is_linked(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    old = start(sql, "flow", {"n": 1}, meta='{"user": 1}')
    sql.fail(sql.claim_one("flow"))
    before = sql.run(old.run_id), sql.steps(old.run_id)
    new = restart(sql, old.run_id)
    assert (new.flow_slug, new.input, new.status) == ("flow", {"n": 1}, "started")
    noted = details(sql, new.run_id)
    assert (noted.restarted_from, noted.meta) == (old.run_id, {"user": 1})
    assert (sql.run(old.run_id), sql.steps(old.run_id)) == before
    sql.work("flow")
    assert sql.run(new.run_id).status == "completed"


def test_another_input_replaces_the_old_one(sql: Sql) -> None:
    sql.define("flow", "a")
    old = sql.start("flow", {"n": 1})
    assert restart(sql, old.run_id, input=json({"m": 2})).input == {"m": 2}
    assert restart(sql, old.run_id, input=json(None)).input is None


def test_an_unknown_run_is_not_restarted(sql: Sql) -> None:
    assert sql.call("django_pgflow.restart_run", run_id=uuid.uuid4()) == []


def test_the_input_must_suit_the_flow(sql: Sql) -> None:
    sql.define("flow", "many[]")
    old = sql.start("flow", [1])
    with pytest.raises(psycopg.errors.RaiseException, match="input is not an array"):
        restart(sql, old.run_id, input=json({}))


def test_the_link_outlives_a_cancellation_that_is_taken_back(sql: Sql) -> None:
    sql.define("flow", "a")
    new = restart(sql, sql.start("flow", {}).run_id)
    cancel(sql, new.run_id)
    sql.call("django_pgflow.resume_runs", run_ids=[new.run_id])
    noted = details(sql, new.run_id)
    assert noted.restarted_from is not None
    assert noted.cancelled_at is None
