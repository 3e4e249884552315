"""``cascade_complete_taskless_steps``, called by itself."""

from __future__ import annotations

from uuid import UUID

from tests.fixtures.platform import Realtime
from tests.fixtures.sql import Sql


def cascade(sql: Sql, run_id: UUID) -> int:
    return int(sql.value("select pgflow.cascade_complete_taskless_steps(run_id => %(run_id)s)", run_id=run_id))


def waiting(sql: Sql) -> UUID:
    """Have a run with a ready map without tasks, and what depends on it, not yet completed."""
    sql.define("flow", "a", "x[] < a", "y[] < x", "end < y")
    run_id: UUID = sql.start("flow", {}).run_id
    sql.rows("update pgflow.step_states set remaining_deps = 0, initial_tasks = 0 where step_slug = 'x'")
    return run_id


def test_waves_follow_each_other_and_are_counted(sql: Sql) -> None:
    run_id = waiting(sql)
    assert cascade(sql, run_id) == 2
    assert sql.step_statuses(run_id) == {"a": "started", "x": "completed", "y": "completed", "end": "created"}
    # It starts nothing.
    assert sql.step(run_id, "end").remaining_deps == 0
    assert sql.run(run_id).remaining_steps == 2


def test_a_completed_step_has_an_empty_array_and_equal_timestamps(sql: Sql) -> None:
    run_id = waiting(sql)
    cascade(sql, run_id)
    step = sql.step(run_id, "y")
    assert (step.output, step.initial_tasks, step.remaining_tasks) == ([], 0, 0)
    assert step.started_at == step.completed_at is not None


def test_a_single_step_without_tasks_has_no_output(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    sql.rows("update pgflow.step_states set remaining_deps = 0, initial_tasks = 0 where step_slug = 'b'")
    assert cascade(sql, run.run_id) == 1
    assert (sql.step(run.run_id, "b").status, sql.step(run.run_id, "b").output) == ("completed", None)


def test_it_does_not_complete_the_run(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.rows(
        "update pgflow.step_states set status = 'created', remaining_tasks = null, initial_tasks = 0, "
        "started_at = null where step_slug = 'a'"
    )
    assert cascade(sql, run.run_id) == 1
    assert (sql.run(run.run_id).status, sql.run(run.run_id).remaining_steps) == ("started", 0)


def test_calling_again_changes_nothing(sql: Sql, realtime: Realtime) -> None:
    run_id = waiting(sql)
    cascade(sql, run_id)
    before = sql.run(run_id), sql.steps(run_id), realtime.names()
    assert cascade(sql, run_id) == 0
    assert (sql.run(run_id), sql.steps(run_id), realtime.names()) == before


def test_on_a_failed_run_with_nothing_ready_it_is_zero(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", max_attempts=1)
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"))
    assert cascade(sql, run.run_id) == 0
    assert sql.run(run.run_id).status == "failed"
