"""``fail_task``: in separate transactions, ends come after starts and starts after creations."""

from __future__ import annotations

from tests.fixtures.sql import Sessions


def test_along_a_failing_run_time_goes_forward(sessions: Sessions) -> None:
    sql = sessions.open()
    sql.define("clock", "a", "b < a", max_attempts=1)
    run = sql.start("clock", {})
    sql.complete(sql.claim_one("clock"))
    sql.fail(sql.claim_one("clock"))
    ended, step, task = sql.run(run.run_id), sql.step(run.run_id, "b"), sql.task(run.run_id, "b")
    assert task.queued_at < task.started_at < task.failed_at == step.failed_at == ended.failed_at
    assert ended.started_at <= step.created_at < step.started_at < step.failed_at
    assert (task.completed_at, step.completed_at, ended.completed_at) == (None, None, None)
