"""``fail_task``: two sessions report into one run."""

from __future__ import annotations

from tests.fixtures.sql import DEADLINE, Sessions


def test_a_retry_that_waited_for_the_runs_failure_does_not_revive_it(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race")
    first.add_step("race", "fatal", max_attempts=1)
    first.add_step("race", "retriable", max_attempts=5)
    run = first.start("race", {})
    fatal, retriable = first.claim("race")
    with first.transaction():
        first.fail(fatal, "broken")
        other = sessions.begin(second.fail, retriable, "late")
        assert sessions.wait_until_blocked(second, other)
        before = first.run(run.run_id), first.steps(run.run_id)
    assert other.result(timeout=DEADLINE).status == "cancelled"
    assert (first.run(run.run_id), first.steps(run.run_id)) == before
    assert before[0].failed_at is not None
    assert first.message_counts("race") == (0, 2)


def test_of_two_last_failures_the_first_ends_the_run(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a", "b", max_attempts=1)
    run = first.start("race", {})
    one, two = first.claim("race")
    with first.transaction():
        first.fail(one, "first")
        other = sessions.begin(second.fail, two, "second")
        assert sessions.wait_until_blocked(second, other)
        before = first.run(run.run_id), first.steps(run.run_id)
    other.result(timeout=DEADLINE)
    assert (first.run(run.run_id), first.steps(run.run_id)) == before
    assert [step.status for step in before[1].values()] == ["failed", "skipped"]


def test_a_failure_that_waited_for_the_same_tasks_completion_does_not_count(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a", "b < a", max_attempts=1)
    run = first.start("race", {})
    task = first.claim_one("race")
    with first.transaction():
        first.complete(task, "done")
        other = sessions.begin(second.fail, task, "late")
        sessions.wait_until_blocked(second, other)
    assert other.result(timeout=DEADLINE).status == "completed"
    assert first.run(run.run_id).status == "started"


def test_two_retries_of_one_attempt_count_once(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a", base_delay=100)
    run = first.start("race", {})
    task = first.claim_one("race")
    with first.transaction():
        first.fail(task, "first")
        other = sessions.begin(second.fail, task, "second")
        sessions.wait_until_blocked(second, other)
    assert other.result(timeout=DEADLINE).error_message == "first"
    assert first.task(run.run_id, "a").attempts_count == 1


def test_a_failure_may_be_reported_in_a_transaction_older_than_the_run(sessions: Sessions) -> None:
    worker, reporter = sessions.open(), sessions.open()
    worker.define("race", "a", "busy", max_attempts=1)
    with reporter.transaction():
        reporter.rows("select now()")
        run = worker.start("race", {})
        task = worker.claim("race")[0]
        assert reporter.fail(task, "broken").status == "failed"
    task, step, ended = worker.task(run.run_id, "a"), worker.step(run.run_id, "a"), worker.run(run.run_id)
    assert task.queued_at <= task.started_at <= task.failed_at
    assert step.started_at <= step.failed_at
    assert ended.started_at <= ended.failed_at


def test_claims_and_failures_of_one_run_do_not_deadlock(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "each[]", max_attempts=1)
    for _ in range(5):
        run = first.start("race", list(range(30)))
        claimed = first.claim("race", 15)
        rest = first.read("race")
        failing = sessions.begin(first.fail, claimed[0], "broken")
        claiming = sessions.begin(second.start_tasks, "race", rest, None)
        failing.result(timeout=DEADLINE)
        claiming.result(timeout=DEADLINE)
        assert second.run(run.run_id).status == "failed"
        # Whoever came first: no task of a dead run is left open.
        assert set(second.task_statuses(run.run_id, "each")) == {"failed", "cancelled"}
        assert second.queued_messages("race") == []
