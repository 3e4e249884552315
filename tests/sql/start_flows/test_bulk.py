"""``start_flows``: many runs in one statement, as by ``start_flow``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from django_pgflow.db.core.current import Core
from tests.fixtures.sql import Sql


def start_flows(sql: Sql, inputs: Sequence[Any], run_ids: Sequence[UUID | None] | None = None) -> list[Any]:
    """Start runs of ``flow``."""
    return sql.ask(Core().start_flows("flow", [json.dumps(value) for value in inputs], run_ids))


def test_each_input_gets_a_run_in_order(sql: Sql) -> None:
    sql.define("flow", "a")
    inputs = [{"n": 1}, None, [3], "four", 5]
    runs = start_flows(sql, inputs)
    assert [sql.run(run.run_id).input for run in runs] == inputs
    assert {(run.flow_slug, run.status, run.remaining_steps) for run in runs} == {("flow", "started", 1)}
    assert len(sql.queued_messages("flow")) == 5


def test_many_inputs_keep_their_order(sql: Sql) -> None:
    sql.define("flow", "a")
    runs = start_flows(sql, list(range(300)))
    assert [sql.run(run.run_id).input for run in runs] == list(range(300))


def test_given_ids_are_used_in_order(sql: Sql) -> None:
    sql.define("flow", "a")
    run_ids = [uuid4(), None, uuid4()]
    runs = start_flows(sql, [1, 2, 3], run_ids)
    assert (runs[0].run_id, runs[2].run_id) == (run_ids[0], run_ids[2])
    assert runs[1].run_id is not None
    assert [sql.run(run.run_id).input for run in runs] == [1, 2, 3]


def test_each_run_counts_the_elements_of_its_own_input(sql: Sql) -> None:
    sql.define("flow", "each[]", "after < each")
    runs = start_flows(sql, [[1], [], [1, 2, 3]])
    assert [sql.step(run.run_id, "each").initial_tasks for run in runs] == [1, 0, 3]
    assert [sql.step(run.run_id, "after").status for run in runs] == ["created", "started", "created"]


def test_runs_that_end_at_once_are_returned_ended(sql: Sql) -> None:
    sql.define("flow", "each[]")
    ended, going = start_flows(sql, [[], [1]])
    assert (ended.status, ended.output, going.status) == ("completed", {"each": []}, "started")


def test_the_runs_run_as_any_other(sql: Sql) -> None:
    sql.define("flow", "each[]", "total < each")
    runs = start_flows(sql, [[1, 2], [10, 20, 30]])
    sql.work("flow", each=lambda element: element + 1, total=lambda value: sum(value["each"]))
    assert [sql.run(run.run_id).output for run in runs] == [{"total": 5}, {"total": 63}]


def test_the_states_are_those_of_start_flow(sql: Sql) -> None:
    sql.define("flow", "a", "each[] < a", "b", "join < each b")
    one = sql.start("flow", {})
    (two,) = start_flows(sql, [{}])
    first = {slug: step._replace(run_id=None) for slug, step in sql.steps(one.run_id).items()}
    second = {slug: step._replace(run_id=None) for slug, step in sql.steps(two.run_id).items()}
    assert first == second


def test_one_bad_input_refuses_all(sql: Sql) -> None:
    sql.define("flow", "each[]")
    with pytest.raises(psycopg.errors.RaiseException) as caught, sql.transaction():
        start_flows(sql, [[1], {"not": "an array"}])
    assert caught.value.diag.message_primary == "Flow flow has root map steps but input is not an array (got object)"
    assert sql.value("select count(*) from pgflow.runs where flow_slug = 'flow'") == 0
    assert sql.queued_messages("flow") == []


def test_a_run_id_that_is_taken_refuses_all(sql: Sql) -> None:
    sql.define("flow", "a")
    taken = sql.start("flow", {}).run_id
    with pytest.raises(psycopg.errors.UniqueViolation, match="runs_pkey"), sql.transaction():
        start_flows(sql, [1, 2], [uuid4(), taken])
    assert len(sql.queued_messages("flow")) == 1


def test_an_unknown_flow_is_refused(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="runs_flow_slug_fkey"):
        start_flows(sql, [1])


def test_no_inputs_start_nothing(sql: Sql) -> None:
    sql.define("flow", "a")
    assert start_flows(sql, []) == []
