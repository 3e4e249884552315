"""``exchange``: runs are locked in the order of their ids, so that workers never deadlock."""

from __future__ import annotations

from uuid import UUID

from tests.fixtures.sql import DEADLINE, Sessions, completed, failed

LOW = UUID("00000000-0000-4000-8000-000000000001")
HIGH = UUID("ffffffff-ffff-4fff-8fff-ffffffffffff")


def test_runs_are_locked_by_id_whatever_the_order_of_reports(sessions: Sessions) -> None:
    holder, reporter, prober = sessions.open(), sessions.open(), sessions.open()
    holder.define("race", "a", "b < a")
    for run_id in (LOW, HIGH):
        holder.start("race", {}, run_id=run_id)
    low, high = sorted(reporter.exchange(["race"]), key=lambda task: task.run_id)
    with holder.transaction():
        holder.rows("select 1 from pgflow.runs where run_id = %(id)s for update", id=LOW)
        waiting = sessions.begin(reporter.exchange, ["race"], completed(high), completed(low))
        assert sessions.wait_until_blocked(reporter, waiting)
        # It waits for the lower run and does not hold the higher yet.
        prober.rows("select 1 from pgflow.runs where run_id = %(id)s for update nowait", id=HIGH)
    assert len(waiting.result(timeout=DEADLINE)) == 2


def test_workers_that_report_the_same_runs_in_opposite_orders_do_not_deadlock(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "each[]")
    for _ in range(5):
        runs = [first.start("race", list(range(4))) for _ in range(10)]
        one = first.exchange(["race"], capacity=20)
        two = second.exchange(["race"], capacity=20)
        calls = [
            sessions.begin(first.exchange, ["race"], *map(completed, one)),
            sessions.begin(second.exchange, ["race"], *map(completed, reversed(two))),
        ]
        for call in calls:
            assert call.result(timeout=DEADLINE) == []
        assert {first.run(run.run_id).status for run in runs} == {"completed"}


def test_claiming_tasks_of_a_run_that_fails_meanwhile_does_not_deadlock(sessions: Sessions) -> None:
    holder, failing, claiming = sessions.open(), sessions.open(), sessions.open()
    holder.define("race", "each[]", max_attempts=1)
    run = holder.start("race", list(range(6)))
    (task,) = failing.exchange(["race"], capacity=1)
    with holder.transaction():
        # The failure closes tasks one by one and is held up at the last; the claim takes the messages meanwhile.
        holder.rows(
            "select 1 from pgflow.step_tasks where run_id = %(id)s and task_index = 5 for update", id=run.run_id
        )
        failure = sessions.begin(failing.exchange, ["race"], failed(task), capacity=0)
        sessions.wait_until_blocked(failing, failure)
        claim = sessions.begin(claiming.exchange, ["race"], capacity=10)
        sessions.wait_until_blocked(claiming, claim)
    assert failure.result(timeout=DEADLINE) == []
    claim.result(timeout=DEADLINE)
    assert set(holder.task_statuses(run.run_id, "each")) == {"failed", "cancelled"}
    assert holder.queued_messages("race") == []


def test_claiming_tasks_that_are_requeued_meanwhile_does_not_deadlock(sessions: Sessions) -> None:
    holder, keeper, claiming = sessions.open(), sessions.open(), sessions.open()
    holder.define("race", "each[]")
    run = holder.start("race", list(range(6)))
    for task in holder.claim("race"):
        holder.age(task, 1000)
    holder.hurry("race")
    with holder.transaction():
        holder.rows(
            "select 1 from pgflow.step_tasks where run_id = %(id)s and task_index = 5 for update", id=run.run_id
        )
        requeue = sessions.begin(keeper.requeue_stalled_tasks)
        sessions.wait_until_blocked(keeper, requeue)
        claim = sessions.begin(claiming.exchange, ["race"], capacity=10)
        sessions.wait_until_blocked(claiming, claim)
    requeued = requeue.result(timeout=DEADLINE)
    claimed = claim.result(timeout=DEADLINE)
    assert requeued in {5, 6}
    assert holder.task_statuses(run.run_id, "each").count("queued") == requeued - len(claimed)
