"""``fail_task`` without an attempt left: task, step and run fail, and what else lives in the run is closed."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sql


@pytest.mark.parametrize("max_attempts", [0, 1, 2, 3])
def test_the_attempts_allowed_are_the_attempts_made(sql: Sql, max_attempts: int) -> None:
    sql.define("flow", "a", max_attempts=max_attempts, base_delay=0)
    run = sql.start("flow", {})
    executions = 0
    while tasks := sql.claim("flow"):
        executions += 1
        sql.fail(tasks[0])
    # None allowed still means one made.
    assert executions == max(max_attempts, 1)
    assert sql.task(run.run_id, "a").attempts_count == executions
    assert sql.run(run.run_id).status == "failed"


def test_with_two_attempts_the_second_failure_is_the_last(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=2, base_delay=0)
    run = sql.start("flow", {})
    assert sql.fail(sql.claim_one("flow")).status == "queued"
    assert sql.run(run.run_id).status == "started"
    assert sql.fail(sql.claim_one("flow")).status == "failed"
    assert sql.run(run.run_id).status == "failed"


def test_the_attempts_of_the_step_go_before_those_of_the_flow(sql: Sql) -> None:
    sql.define("flow", max_attempts=5)
    sql.add_step("flow", "a", max_attempts=1)
    sql.start("flow", {})
    assert sql.fail(sql.claim_one("flow")).status == "failed"


def test_the_error_is_on_task_and_step_and_not_on_dependents(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", max_attempts=1)
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"), "disk full")
    assert sql.task(run.run_id, "a").error_message == "disk full"
    assert sql.step(run.run_id, "a").error_message == "disk full"
    step = sql.step(run.run_id, "b")
    assert (step.status, step.error_message) == ("created", None)


def test_failure_is_stamped_and_completion_is_not(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"))
    now = sql.value("select now()")
    for row in (sql.task(run.run_id, "a"), sql.step(run.run_id, "a"), sql.run(run.run_id)):
        assert (row.status, row.failed_at, row.completed_at) == ("failed", now, None)


def test_the_message_is_archived(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.fail(task)
    assert sql.queued_messages("flow") == []
    assert [message.msg_id for message in sql.archived_messages("flow")] == [task.msg_id]


def test_the_counters_of_the_failed_run_stay(sql: Sql) -> None:
    sql.define("flow", "each[]", "after < each", max_attempts=1)
    run = sql.start("flow", [1, 2, 3])
    first, second, _ = sql.claim("flow")
    sql.complete(first)
    sql.fail(second)
    assert sql.run(run.run_id).remaining_steps == 2
    assert sql.step(run.run_id, "each").remaining_tasks == 2


def test_the_siblings_in_a_map_are_cancelled_and_finished_ones_kept(sql: Sql) -> None:
    sql.define("flow", "each[]", max_attempts=1)
    run = sql.start("flow", [0, 1, 2, 3, 4])
    done, failing, _started = sql.claim("flow", 3)
    sql.complete(done, "kept")
    sql.fail(failing, "broken")
    assert sql.task_statuses(run.run_id, "each") == ["completed", "failed", "cancelled", "cancelled", "cancelled"]
    assert sql.task(run.run_id, "each", 0).output == "kept"
    assert sql.step(run.run_id, "each").output is None


def test_a_cancelled_sibling_is_neither_completed_nor_failed(sql: Sql) -> None:
    sql.define("flow", "each[]", max_attempts=1)
    run = sql.start("flow", [0, 1])
    sql.fail(sql.claim("flow")[0], "broken")
    sibling = sql.task(run.run_id, "each", 1)
    assert (sibling.completed_at, sibling.failed_at, sibling.error_message) == (None, None, None)
    assert sibling.attempts_count == 1


def test_other_started_steps_are_skipped_because_the_run_failed(sql: Sql) -> None:
    sql.define("flow", "done", "failing", "busy", "waiting", "after < done busy", max_attempts=1)
    run = sql.start("flow", {})
    tasks = {task.step_slug: task for task in sql.claim("flow", 3)}
    assert set(tasks) == {"busy", "done", "failing"}
    sql.complete(tasks["done"])
    sql.fail(tasks["failing"])
    assert sql.step_statuses(run.run_id) == {
        "done": "completed",
        "failing": "failed",
        "busy": "skipped",
        "waiting": "skipped",
        "after": "created",
    }
    for slug in ("busy", "waiting"):
        step = sql.step(run.run_id, slug)
        assert (step.skip_reason, step.remaining_tasks) == ("run_failed", None)
        assert step.skipped_at is not None
        assert sql.task_statuses(run.run_id, slug) == ["cancelled"]


def test_all_messages_of_the_run_are_archived_and_no_others(sql: Sql) -> None:
    sql.define("flow", "each[]", "single", max_attempts=1)
    sql.start("flow", [1, 2, 3])
    other = sql.start("flow", [1])
    sql.fail(sql.claim("flow", 1)[0])
    assert len(sql.archived_messages("flow")) == 4
    assert {message.message["run_id"] for message in sql.queued_messages("flow")} == {str(other.run_id)}


def test_nothing_of_a_failed_run_can_be_claimed(sql: Sql) -> None:
    sql.define("flow", "a", "b", max_attempts=1)
    run = sql.start("flow", {})
    first = sql.claim("flow", 1)[0]
    sql.fail(first)
    message_ids = [sql.task(run.run_id, slug).message_id for slug in ("a", "b")]
    assert sql.start_tasks("flow", message_ids, sql.worker_id) == []


def test_a_task_without_a_message_can_fail(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=2, base_delay=0)
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.rows("update pgflow.step_tasks set message_id = null")
    assert sql.fail(task).status == "queued"
    sql.rows("update pgflow.step_tasks set status = 'started', attempts_count = 2, started_at = now()")
    assert sql.fail(task).status == "failed"
    assert sql.run(run.run_id).status == "failed"
