"""``maybe_complete_run``: ends a run in which no step remains."""

from __future__ import annotations

from typing import Any

from tests.fixtures.sql import Sql


def maybe_complete_run(sql: Sql, run: Any) -> None:
    """Call the function."""
    sql.call("pgflow.maybe_complete_run", run_id=run.run_id)


def test_a_run_with_remaining_steps_goes_on(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    maybe_complete_run(sql, run)
    assert sql.run(run.run_id) == run


def test_a_run_without_remaining_steps_is_completed_with_its_leaves(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", "skipped_leaf < a")
    run = sql.start("flow", {})
    sql.rows(
        "update pgflow.step_states set status = 'completed', remaining_tasks = 0, output = to_jsonb(step_slug) "
        "where step_slug in ('a', 'b')"
    )
    sql.rows("update pgflow.step_states set status = 'skipped', skip_reason = 'x' where step_slug = 'skipped_leaf'")
    sql.rows("update pgflow.runs set remaining_steps = 0 where run_id = %(id)s", id=run.run_id)
    maybe_complete_run(sql, run)
    ended = sql.run(run.run_id)
    assert (ended.status, ended.output) == ("completed", {"b": "b"})
    assert ended.completed_at is not None


def test_without_a_completed_leaf_the_output_is_sql_null(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.rows("update pgflow.step_states set status = 'skipped', skip_reason = 'x', remaining_tasks = null")
    sql.rows("update pgflow.runs set remaining_steps = 0 where run_id = %(id)s", id=run.run_id)
    maybe_complete_run(sql, run)
    assert sql.run(run.run_id).status == "completed"
    assert sql.value("select output is null from pgflow.runs where run_id = %(id)s", id=run.run_id)


def test_completing_again_changes_nothing(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.work("flow", a=1)
    before = sql.run(run.run_id)
    maybe_complete_run(sql, run)
    assert sql.run(run.run_id) == before


def test_an_unknown_run_is_passed_over(sql: Sql) -> None:
    sql.rows("select pgflow.maybe_complete_run(gen_random_uuid())")
