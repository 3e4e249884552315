"""``requeue_stalled_tasks``: a task that stalls once more after three requeues is a failure for good."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.sql import Sql


def stall(sql: Sql, flow_slug: str, times: int) -> Any:
    """Let the only task of a flow stall that often; return it as last claimed."""
    for time in range(times):
        if time:
            sql.requeue_stalled_tasks()
        task = sql.claim_one(flow_slug)
        sql.age(task, 1000)
    return task


def test_three_requeues_are_allowed(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    stall(sql, "flow", 3)
    assert sql.requeue_stalled_tasks() == 1
    task = sql.task(run.run_id, "a")
    assert (task.status, task.requeued_count, task.permanently_stalled_at) == ("queued", 3, None)


def test_the_fourth_time_the_task_fails_for_good(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    stall(sql, "flow", 4)
    assert sql.requeue_stalled_tasks() == 0
    task = sql.task(run.run_id, "a")
    assert (task.status, task.requeued_count, task.attempts_count) == ("failed", 3, 4)
    assert task.permanently_stalled_at is not None
    assert task.failed_at is not None
    assert task.error_message


def test_its_step_and_run_fail_with_it(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    stall(sql, "flow", 4)
    sql.requeue_stalled_tasks()
    assert sql.step_statuses(run.run_id) == {"a": "failed", "b": "created"}
    assert sql.step(run.run_id, "a").error_message
    assert sql.run(run.run_id).status == "failed"
    assert sql.run(run.run_id).failed_at is not None


def test_its_message_is_archived_though_nothing_was_requeued(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.start("flow", {})
    stall(sql, "flow", 4)
    assert sql.requeue_stalled_tasks() == 0
    assert sql.message_counts("flow") == (0, 1)


def test_a_pass_may_requeue_one_task_and_give_up_another(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.define("other", "a")
    lost, found = sql.start("flow", {}), sql.start("other", {})
    stall(sql, "flow", 4)
    stall(sql, "other", 1)
    assert sql.requeue_stalled_tasks() == 1
    assert sql.run(lost.run_id).status == "failed"
    assert sql.task_statuses(found.run_id, "a") == ["queued"]


def test_what_else_lives_in_the_run_is_closed(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", [1, 2])
    sql.age(sql.claim("flow")[0], 1000)
    sql.rows("update pgflow.step_tasks set requeued_count = 3 where task_index = 0")
    sql.requeue_stalled_tasks()
    assert sql.task_statuses(run.run_id, "each") == ["failed", "cancelled"]
    assert sql.message_counts("flow") == (0, 2)


def test_after_that_nothing_more_happens(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    stall(sql, "flow", 4)
    sql.requeue_stalled_tasks()
    before = sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "a")
    assert sql.requeue_stalled_tasks() == 0
    assert (sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "a")) == before


@pytest.mark.parametrize("report", ["complete", "fail"])
def test_a_late_report_does_not_count(sql: Sql, report: str) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    task = stall(sql, "flow", 4)
    sql.requeue_stalled_tasks()
    before = sql.run(run.run_id), sql.tasks(run.run_id, "a")
    sql.complete(task, "late") if report == "complete" else sql.fail(task, "late")
    assert (sql.run(run.run_id), sql.tasks(run.run_id, "a")) == before


def test_more_attempts_than_allowed_end_with_the_next_failure(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    task = stall(sql, "flow", 3)
    assert sql.task(run.run_id, "a").attempts_count == 3
    assert sql.fail(task, "broken").status == "failed"
