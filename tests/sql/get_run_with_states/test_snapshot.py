"""``get_run_with_states``: a run and its steps as one document."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from tests.fixtures.sql import Sql


def snapshot(sql: Sql, run_id: UUID) -> Any:
    return sql.value("select pgflow.get_run_with_states(run_id => %(run_id)s)", run_id=run_id)


def columns(sql: Sql, table: str) -> set[str]:
    rows = sql.rows(
        "select column_name from information_schema.columns where table_schema = 'pgflow' and table_name = %(table)s",
        table=table,
    )
    return {row.column_name for row in rows}


def test_it_has_run_and_steps_with_all_their_columns(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {"x": 1})
    document = snapshot(sql, run.run_id)
    assert set(document) == {"run", "steps"}
    assert set(document["run"]) == columns(sql, "runs")
    assert len(document["steps"]) == 2
    for step in document["steps"]:
        assert set(step) == columns(sql, "step_states")


def test_it_shows_the_run_and_each_step_as_they_are(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {"x": 1})
    sql.complete(sql.claim_one("flow"), [1])
    document = snapshot(sql, run.run_id)
    assert document["run"]["run_id"] == str(run.run_id)
    assert (document["run"]["input"], document["run"]["status"]) == ({"x": 1}, "started")
    steps = {step["step_slug"]: step for step in document["steps"]}
    assert (steps["a"]["status"], steps["a"]["output"]) == ("completed", [1])
    assert (steps["b"]["status"], steps["b"]["remaining_tasks"]) == ("started", 1)


def test_times_are_iso_8601_with_an_offset(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    assert datetime.fromisoformat(snapshot(sql, run.run_id)["run"]["started_at"]) == run.started_at


def test_a_run_without_steps_has_an_empty_list(sql: Sql) -> None:
    sql.define("flow")
    assert snapshot(sql, sql.start("flow", {}).run_id)["steps"] == []


def test_an_unknown_run_gives_sql_null(sql: Sql) -> None:
    assert snapshot(sql, uuid4()) is None


def test_the_steps_of_other_runs_are_not_in_it(sql: Sql) -> None:
    sql.define("flow", "a")
    run, other = sql.start("flow", {}), sql.start("flow", {})
    assert {step["run_id"] for step in snapshot(sql, run.run_id)["steps"]} == {str(run.run_id)}
    assert {step["run_id"] for step in snapshot(sql, other.run_id)["steps"]} == {str(other.run_id)}
