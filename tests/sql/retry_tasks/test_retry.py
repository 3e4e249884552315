"""``retry_tasks``: a failed run goes on from its failed tasks; finished work is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.sql import DEADLINE, Sessions, Sql


def fail_first(sql: Sql, flow_slug: str, step_slug: str, task_index: int = 0, error_message: str = "broken") -> Any:
    """Claim what is visible, complete what lies before the named task, and let that one fail."""
    tasks = sql.claim(flow_slug)
    (failing,) = [task for task in tasks if (task.step_slug, task.task_index) == (step_slug, task_index)]
    for task in tasks:
        if task.msg_id < failing.msg_id:
            sql.complete(task, f"{task.step_slug} {task.task_index}")
    return sql.fail(failing, error_message)


def test_a_failed_task_is_queued_again_and_its_run_completes(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", max_attempts=1)
    run = sql.start("flow", {})
    fail_first(sql, "flow", "a")
    assert sql.retry((run.run_id, "a", 0)) == ["queued"]
    row = sql.run(run.run_id)
    assert (row.status, row.failed_at, row.remaining_steps) == ("started", None, 2)
    assert sql.step_statuses(run.run_id) == {"a": "started", "b": "created"}
    sql.work("flow", a="A", b="B")
    assert (sql.run(run.run_id).status, sql.run(run.run_id).output) == ("completed", {"b": "B"})


def test_the_task_can_be_claimed_at_once(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1, base_delay=1000)
    run = sql.start("flow", {"x": 1})
    fail_first(sql, "flow", "a")
    sql.retry((run.run_id, "a", 0))
    task = sql.task(run.run_id, "a")
    assert (task.status, task.started_at, task.failed_at, task.completed_at) == ("queued", None, None, None)
    assert len(sql.queued_messages("flow")) == 1
    claimed = sql.claim_one("flow")
    assert (claimed.msg_id, claimed.input) == (task.message_id, {"run": {"x": 1}})


def test_the_step_is_started_again_without_its_error(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    fail_first(sql, "flow", "a")
    sql.retry((run.run_id, "a", 0))
    step = sql.step(run.run_id, "a")
    assert (step.status, step.error_message, step.failed_at) == ("started", None, None)
    assert (step.initial_tasks, step.remaining_tasks) == (1, 1)


def test_a_retried_task_has_fresh_attempts(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=2, base_delay=0)
    run = sql.start("flow", {})
    for _ in range(2):
        sql.fail(sql.claim_one("flow"))
    sql.retry((run.run_id, "a", 0))
    assert sql.fail(sql.claim_one("flow")).status == "queued"
    assert sql.fail(sql.claim_one("flow")).status == "failed"
    assert sql.run(run.run_id).status == "failed"


def test_a_task_can_be_retried_again_and_again(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    for _ in range(3):
        sql.fail(sql.claim_one("flow"))
        assert sql.retry((run.run_id, "a", 0)) == ["queued"]
    sql.work("flow", a="at last")
    assert sql.run(run.run_id).output == {"a": "at last"}


def test_finished_tasks_of_a_map_are_kept(sql: Sql) -> None:
    sql.define("flow", "each[]", "after < each", max_attempts=1)
    run = sql.start("flow", ["a", "b", "c", "d"])
    fail_first(sql, "flow", "each", 2)
    assert sql.task_statuses(run.run_id, "each") == ["completed", "completed", "failed", "cancelled"]
    sql.retry((run.run_id, "each", 2))
    step = sql.step(run.run_id, "each")
    assert (step.status, step.initial_tasks, step.remaining_tasks) == ("started", 4, 2)
    executed = sql.work("flow", each=lambda element: element.upper(), after=lambda value: value["each"])
    assert executed == 3
    assert sql.run(run.run_id).output == {"after": ["each 0", "each 1", "C", "D"]}


def test_cancelled_siblings_of_the_run_are_revived(sql: Sql) -> None:
    sql.define("flow", "done", "failing", "other", "zed[] < done", "join < failing other", max_attempts=1)
    run = sql.start("flow", {})
    tasks = {task.step_slug: task for task in sql.claim("flow", 2)}
    sql.complete(tasks["done"], [1, 2])
    sql.fail(tasks["failing"])
    assert sql.step_statuses(run.run_id) == {
        "done": "completed",
        "failing": "failed",
        "other": "skipped",
        "zed": "skipped",
        "join": "created",
    }
    sql.retry((run.run_id, "failing", 0))
    for slug, statuses in (("failing", ["queued"]), ("other", ["queued"]), ("zed", ["queued", "queued"])):
        step = sql.step(run.run_id, slug)
        assert (step.status, step.skip_reason, step.skipped_at) == ("started", None, None)
        assert step.remaining_tasks == step.initial_tasks == len(statuses)
        assert sql.task_statuses(run.run_id, slug) == statuses
    assert sql.run(run.run_id).remaining_steps == 4
    executed = sql.work("flow", failing="F", other="O", zed=lambda element: element, join="J")
    assert executed == 5
    assert sql.run(run.run_id).output == {"zed": [1, 2], "join": "J"}


def test_a_revived_sibling_does_not_pay_for_the_attempt_that_was_cut_short(sql: Sql) -> None:
    sql.define("flow", "failing", "other", max_attempts=1, base_delay=0)
    run = sql.start("flow", {})
    fail_first(sql, "flow", "failing")
    sql.retry((run.run_id, "failing", 0))
    tasks = sql.claim("flow")
    assert [task.step_slug for task in tasks] == ["failing", "other"]
    for task in tasks:
        sql.complete(task)
    assert sql.run(run.run_id).status == "completed"


def test_the_outputs_of_finished_steps_are_kept(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", max_attempts=1)
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), "expensive")
    sql.fail(sql.claim_one("flow"))
    sql.retry((run.run_id, "b", 0))
    assert sql.run(run.run_id).remaining_steps == 1
    assert sql.claim_one("flow").input == {"run": {}, "a": "expensive"}


def test_a_task_that_gave_a_wrong_type_can_give_the_right_one(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), "text")
    assert sql.retry((run.run_id, "list", 0)) == ["queued"]
    assert sql.task(run.run_id, "list").output is None
    sql.work("flow", list=[1, 2], each=lambda element: element)
    assert sql.run(run.run_id).output == {"each": [1, 2]}


def test_a_task_that_stalled_for_good_can_be_retried(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.age(sql.claim_one("flow"), 1000)
    sql.rows("update pgflow.step_tasks set requeued_count = 3")
    sql.requeue_stalled_tasks()
    assert sql.retry((run.run_id, "a", 0)) == ["queued"]
    task = sql.task(run.run_id, "a")
    assert (task.permanently_stalled_at, task.requeued_count) == (None, 0)
    sql.work("flow", a=1)
    assert sql.run(run.run_id).status == "completed"


def test_tasks_of_several_runs_and_flows_are_retried_at_once(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    sql.define("other", "each[]", max_attempts=1)
    runs = [sql.start("flow", n) for n in range(3)]
    for task in sql.claim("flow"):
        sql.fail(task)
    other = sql.start("other", [1, 2])
    fail_first(sql, "other", "each", 1)
    outcomes = sql.retry(*((run.run_id, "a", 0) for run in runs), (other.run_id, "each", 1))
    assert outcomes == ["queued"] * 4
    sql.work("flow", a=lambda value: value["run"])
    sql.work("other", each=lambda element: element)
    assert [sql.run(run.run_id).output for run in runs] == [{"a": 0}, {"a": 1}, {"a": 2}]
    assert sql.run(other.run_id).output == {"each": ["each 0", 2]}


def test_other_failed_runs_stay_failed(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    one, two = sql.start("flow", 1), sql.start("flow", 2)
    for task in sql.claim("flow"):
        sql.fail(task)
    sql.retry((one.run_id, "a", 0))
    assert (sql.run(one.run_id).status, sql.run(two.run_id).status) == ("started", "failed")
    assert sql.step(two.run_id, "a").status == "failed"


def test_a_report_of_the_attempt_before_does_not_count(sql: Sql) -> None:
    sql.define("flow", "a", "b", max_attempts=1)
    run = sql.start("flow", {})
    old = sql.worker()
    one, two = sql.claim("flow", worker_id=old)
    sql.fail(one)
    sql.retry((run.run_id, "a", 0))
    # The old worker still executes b, which was cancelled under its hands and is queued again.
    sql.complete(two, "stale", worker_id=old, attempt=1)
    assert sql.task_statuses(run.run_id, "b") == ["queued"]
    new = {task.step_slug: task for task in sql.claim("flow")}
    sql.complete(two, "stale", worker_id=old, attempt=1)
    assert sql.task_statuses(run.run_id, "b") == ["started"]
    sql.complete(new["b"], "right")
    assert sql.step(run.run_id, "b").output == "right"


@pytest.mark.parametrize("attempts", [1, 3])
def test_the_archive_does_not_stand_in_the_way_of_the_second_end(sql: Sql, attempts: int) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    for _ in range(attempts):
        sql.fail(sql.claim_one("flow"))
        sql.retry((run.run_id, "a", 0))
    sql.complete(sql.claim_one("flow"))
    assert sql.queued_messages("flow") == []


def test_of_two_sessions_that_retry_one_task_one_queues_it(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a", max_attempts=1)
    run = first.start("race", {})
    first.fail(first.claim_one("race"))
    with first.transaction():
        assert first.retry((run.run_id, "a", 0)) == ["queued"]
        other = sessions.begin(second.retry, (run.run_id, "a", 0))
        assert sessions.wait_until_blocked(second, other)
    assert other.result(timeout=DEADLINE) == ["not_failed"]
    assert len(first.queued_messages("race")) == 1
