"""``start_tasks``: two workers with the same message."""

from __future__ import annotations

import psycopg

from tests.fixtures.sql import DEADLINE, Sessions


def test_of_two_calls_for_one_message_only_one_gets_the_task(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a")
    run = first.start("race", {})
    msg_ids = first.read("race")
    workers = first.worker(), second.worker()
    with first.transaction():
        assert len(first.start_tasks("race", msg_ids, workers[0])) == 1
        other = sessions.begin(second.start_tasks, "race", msg_ids, workers[1])
        sessions.wait_until_blocked(second, other)
    assert other.result(timeout=DEADLINE) == []
    task = first.task(run.run_id, "a")
    assert (task.attempts_count, task.last_worker_id) == (1, workers[0])


def test_after_a_rollback_the_other_call_gets_the_task(sessions: Sessions) -> None:
    first, second, third = sessions.open(), sessions.open(), sessions.open()
    first.define("race", "a")
    first.start("race", {})
    msg_ids = first.read("race")
    worker_id = second.worker()
    with first.transaction():
        first.start_tasks("race", msg_ids, None)
        other = sessions.begin(second.start_tasks, "race", msg_ids, worker_id)
        sessions.wait_until_blocked(second, other)
        raise psycopg.Rollback
    # A call may wait for the first or pass its tasks over; nothing may be lost either way.
    claimed = other.result(timeout=DEADLINE) or third.start_tasks("race", msg_ids, worker_id)
    assert len(claimed) == 1


def test_overlapping_sets_in_opposite_orders_do_not_deadlock(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "each[]")
    for _ in range(5):
        first.start("race", list(range(40)))
        msg_ids = first.read("race")
        calls = [
            sessions.begin(first.start_tasks, "race", msg_ids, None),
            sessions.begin(second.start_tasks, "race", msg_ids[::-1], None),
        ]
        claimed = [task.msg_id for call in calls for task in call.result(timeout=DEADLINE)]
        assert sorted(claimed) == msg_ids


def test_a_poll_may_begin_before_the_run(sessions: Sessions) -> None:
    poller, starter = sessions.open(), sessions.open()
    starter.define("race", "a")
    with poller.transaction():
        poller.rows("select now()")
        run = starter.start("race", {})
        assert len(poller.start_tasks("race", poller.read("race"), None)) == 1
    task = starter.task(run.run_id, "a")
    assert task.started_at >= task.queued_at
