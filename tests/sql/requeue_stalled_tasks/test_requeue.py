"""``requeue_stalled_tasks``: gives back what a silent worker holds."""

from __future__ import annotations

import pytest

from django_pgflow.db.core.current import Core
from django_pgflow.db.records import Rooms
from tests.fixtures.sql import DEADLINE, Sessions, Sql


def test_within_timeout_and_thirty_seconds_nothing_happens(sql: Sql) -> None:
    sql.define("flow", "a", timeout=60)
    run = sql.start("flow", {})
    sql.age(sql.claim_one("flow"), 85)
    assert sql.requeue_stalled_tasks() == 0
    assert sql.task_statuses(run.run_id, "a") == ["started"]


def test_a_stalled_task_is_queued_again(sql: Sql) -> None:
    sql.define("flow", "a", timeout=60)
    run = sql.start("flow", {})
    sql.age(sql.claim_one("flow"), 95)
    before = sql.task(run.run_id, "a")
    assert sql.requeue_stalled_tasks() == 1
    task = sql.task(run.run_id, "a")
    assert (task.status, task.requeued_count, task.last_requeued_at) == ("queued", 1, sql.value("select now()"))
    assert (task.started_at, task.last_worker_id, task.permanently_stalled_at) == (None, None, None)
    assert (task.attempts_count, task.queued_at, task.message_id) == (1, before.queued_at, before.message_id)
    assert sql.requeue_stalled_tasks() == 0


@pytest.mark.parametrize("way", ["exchange", "exchange with rooms", "start_tasks without a read"])
def test_whatever_way_it_was_claimed(sql: Sql, way: str) -> None:
    sql.define("flow", "a", timeout=60)
    run = sql.start("flow", {})
    if way == "start_tasks without a read":
        message_ids = [message.msg_id for message in sql.queued_messages("flow")]
        (task,) = sql.start_tasks("flow", message_ids, sql.worker_id)
    elif way == "exchange":
        (task,) = sql.exchange(["flow"])
    else:
        (task,) = sql.ask(Core().exchange(sql.worker_id, ["flow"], 10, rooms=Rooms(steps={"flow": {"a": 1}})))
    assert [message.read_ct for message in sql.queued_messages("flow")] == [1]
    sql.age(task, 95)
    assert sql.requeue_stalled_tasks() == 1
    assert sql.task_statuses(run.run_id, "a") == ["queued"]


def test_its_message_is_visible_at_once(sql: Sql) -> None:
    sql.define("flow", "a", timeout=60)
    sql.start("flow", {})
    task = sql.claim_one("flow")
    assert sql.visible_in(task) > 30
    sql.age(task, 95)
    sql.requeue_stalled_tasks()
    assert sql.claim_one("flow").msg_id == task.msg_id


def test_the_error_of_an_earlier_attempt_stays(sql: Sql) -> None:
    sql.define("flow", "a", base_delay=0)
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"), "earlier")
    sql.age(sql.claim_one("flow"), 1000)
    sql.requeue_stalled_tasks()
    task = sql.task(run.run_id, "a")
    assert (task.error_message, task.attempts_count) == ("earlier", 2)


def test_each_flow_is_judged_by_its_own_timeout(sql: Sql) -> None:
    sql.define("flow", "a", timeout=10)
    sql.define("other", "a", timeout=1000)
    runs = {slug: sql.start(slug, {}) for slug in ("flow", "other")}
    for slug in runs:
        sql.age(sql.claim_one(slug), 100)
    assert sql.requeue_stalled_tasks() == 1
    assert sql.task_statuses(runs["flow"].run_id, "a") == ["queued"]
    assert sql.task_statuses(runs["other"].run_id, "a") == ["started"]


def test_the_timeout_of_the_step_goes_before_that_of_the_flow(sql: Sql) -> None:
    sql.define("flow", timeout=60)
    sql.add_step("flow", "slow", timeout=1000)
    sql.add_step("flow", "quick", timeout=5)
    run = sql.start("flow", {})
    for task in sql.claim("flow"):
        sql.age(task, 50)
    assert sql.requeue_stalled_tasks() == 1
    assert sql.task_statuses(run.run_id, "quick") == ["queued"]
    assert sql.task_statuses(run.run_id, "slow") == ["started"]


def test_all_stalled_tasks_of_all_flows_are_counted(sql: Sql) -> None:
    sql.define("flow", "each[]")
    sql.define("other", "a")
    sql.start("flow", [1, 2, 3])
    sql.start("other", {})
    for task in sql.claim("flow") + sql.claim("other"):
        sql.age(task, 1000)
    assert sql.requeue_stalled_tasks() == 4


def test_queued_and_ended_tasks_are_left_alone(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", [1, 2, 3])
    first, second = sql.claim("flow", 2)
    sql.complete(first)
    for index in range(3):
        sql.age(sql.task(run.run_id, "each", index), 1000) if index != 0 else None
    assert sql.requeue_stalled_tasks() == 1
    assert second.task_index == 1
    assert sql.task_statuses(run.run_id, "each") == ["completed", "queued", "queued"]
    assert [task.requeued_count for task in sql.tasks(run.run_id, "each")] == [0, 1, 0]


@pytest.mark.parametrize("status", ["failed", "completed"])
def test_tasks_of_a_run_that_has_ended_are_left_alone(sql: Sql, status: str) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.age(sql.claim_one("flow"), 1000)
    sql.rows("update pgflow.runs set status = %(status)s where run_id = %(id)s", status=status, id=run.run_id)
    assert sql.requeue_stalled_tasks() == 0
    assert sql.task_statuses(run.run_id, "a") == ["started"]


def test_tasks_of_a_skipped_step_are_left_alone(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.age(sql.claim_one("flow"), 1000)
    sql.rows("update pgflow.step_states set status = 'skipped', skip_reason = 'x', remaining_tasks = null")
    assert sql.requeue_stalled_tasks() == 0
    assert sql.task_statuses(run.run_id, "a") == ["started"]


def test_a_task_without_a_message_is_requeued_too(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.age(sql.claim_one("flow"), 1000)
    sql.rows("update pgflow.step_tasks set message_id = null")
    assert sql.requeue_stalled_tasks() == 1
    assert sql.task_statuses(run.run_id, "a") == ["queued"]


def test_a_requeued_task_finishes_elsewhere(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.age(sql.claim_one("flow"), 1000)
    sql.requeue_stalled_tasks()
    other = sql.worker()
    sql.complete(sql.claim_one("flow", worker_id=other), "done")
    assert sql.run(run.run_id).output == {"a": "done"}
    assert sql.task(run.run_id, "a").last_worker_id == other


def test_a_task_that_is_reported_meanwhile_is_not_requeued(sessions: Sessions) -> None:
    worker, keeper = sessions.open(), sessions.open()
    worker.define("race", "a")
    run = worker.start("race", {})
    task = worker.claim_one("race")
    worker.age(task, 1000)
    with worker.transaction():
        worker.complete(task, "just in time")
        other = sessions.begin(keeper.requeue_stalled_tasks)
        sessions.wait_until_blocked(keeper, other)
    assert other.result(timeout=DEADLINE) == 0
    assert worker.run(run.run_id).output == {"a": "just in time"}
    assert worker.message_counts("race") == (0, 1)


def test_two_sessions_requeue_a_task_once(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a")
    run = first.start("race", {})
    first.age(first.claim_one("race"), 1000)
    with first.transaction():
        counted = first.requeue_stalled_tasks()
        other = sessions.begin(second.requeue_stalled_tasks)
        sessions.wait_until_blocked(second, other)
    assert counted + other.result(timeout=DEADLINE) == 1
    assert first.task(run.run_id, "a").requeued_count == 1
