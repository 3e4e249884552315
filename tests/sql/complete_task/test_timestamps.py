"""``complete_task``: in separate transactions, ends come after starts and starts after creations."""

from __future__ import annotations

from tests.fixtures.sql import Sessions


def test_along_a_run_time_goes_forward(sessions: Sessions) -> None:
    sql = sessions.open()
    sql.define("clock", "a", "each[] < a", "after < each")
    run = sql.start("clock", {})
    sql.work("clock", a=[1, 2], each=1, after=2)
    ended = sql.run(run.run_id)
    assert run.started_at < ended.completed_at
    steps = [sql.step(run.run_id, slug) for slug in ("a", "each", "after")]
    for step in steps:
        assert step.created_at <= step.started_at < step.completed_at
        for task in sql.tasks(run.run_id, step.step_slug):
            assert task.queued_at < task.started_at < task.completed_at <= step.completed_at
    assert steps[0].completed_at == steps[1].started_at
    assert steps[1].completed_at == steps[2].started_at
    assert steps[2].completed_at == ended.completed_at
