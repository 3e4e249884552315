"""Control functions while workers report: two sessions at once."""

from __future__ import annotations

import uuid

import psycopg
import pytest

from tests.fixtures.sql import DEADLINE, Sessions, completed
from tests.integration.control.conftest import cancel, details, resume, start


def test_a_cancellation_waits_for_a_completion_and_comes_too_late(sessions: Sessions) -> None:
    worker, operator = sessions.open(), sessions.open()
    worker.define("race", "a")
    run = worker.start("race", {})
    (task,) = worker.exchange(["race"])
    with worker.transaction():
        worker.exchange(["race"], completed(task, "done"))
        cancelling = sessions.begin(cancel, operator, run.run_id)
        assert sessions.wait_until_blocked(operator, cancelling)
    assert cancelling.result(timeout=DEADLINE) == ["ended"]
    assert worker.run(run.run_id).status == "completed"
    assert details(worker, run.run_id) is None


def test_a_completion_waits_for_a_cancellation_and_is_refused(sessions: Sessions) -> None:
    worker, operator = sessions.open(), sessions.open()
    worker.define("race", "a", "b < a")
    run = worker.start("race", {})
    (task,) = worker.exchange(["race"])
    with operator.transaction():
        cancel(operator, run.run_id)
        reporting = sessions.begin(worker.exchange, ["race"], completed(task, "done"))
        assert sessions.wait_until_blocked(worker, reporting)
    (refused,) = reporting.result(timeout=DEADLINE)
    assert refused.kind == "refused"
    assert worker.step_statuses(run.run_id) == {"a": "skipped", "b": "created"}
    assert worker.task(run.run_id, "a").output is None
    assert worker.message_counts("race") == (0, 1)


def test_a_completion_that_releases_a_step_leaves_nothing_for_the_cancellation_to_miss(sessions: Sessions) -> None:
    worker, operator = sessions.open(), sessions.open()
    worker.define("race", "a", "b < a")
    run = worker.start("race", {})
    (task,) = worker.exchange(["race"])
    with worker.transaction():
        worker.exchange(["race"], completed(task, "done"), capacity=0)
        cancelling = sessions.begin(cancel, operator, run.run_id)
        assert sessions.wait_until_blocked(operator, cancelling)
    assert cancelling.result(timeout=DEADLINE) == ["cancelled"]
    assert worker.step_statuses(run.run_id) == {"a": "completed", "b": "skipped"}
    assert worker.task_statuses(run.run_id, "b") == ["cancelled"]
    assert worker.message_counts("race") == (0, 2)


def test_a_claim_passes_over_what_is_being_cancelled(sessions: Sessions) -> None:
    worker, operator = sessions.open(), sessions.open()
    worker.define("race", "a")
    run = worker.start("race", {})
    with operator.transaction():
        cancel(operator, run.run_id)
        assert worker.exchange(["race"]) == []
    assert worker.exchange(["race"]) == []
    assert worker.task_statuses(run.run_id, "a") == ["cancelled"]


def test_a_cancellation_waits_for_a_claim_and_takes_the_task_away(sessions: Sessions) -> None:
    worker, operator = sessions.open(), sessions.open()
    worker.define("race", "a")
    run = worker.start("race", {})
    with worker.transaction():
        (task,) = worker.exchange(["race"])
        cancelling = sessions.begin(cancel, operator, run.run_id)
        assert sessions.wait_until_blocked(operator, cancelling)
    assert cancelling.result(timeout=DEADLINE) == ["cancelled"]
    assert worker.task_statuses(run.run_id, "a") == ["cancelled"]
    (refused,) = worker.exchange(["race"], completed(task, "done"))
    assert refused.kind == "refused"
    assert worker.message_counts("race") == (0, 1)


def test_a_late_report_waits_for_the_resumption_and_is_refused(sessions: Sessions) -> None:
    worker, operator = sessions.open(), sessions.open()
    worker.define("race", "a", "b", max_attempts=1)
    run = worker.start("race", {})
    one, two = worker.exchange(["race"])
    worker.fail(one)
    with operator.transaction():
        assert resume(operator, run.run_id) == ["resumed"]
        reporting = sessions.begin(worker.exchange, ["race"], completed(two, "late"), capacity=0)
        assert sessions.wait_until_blocked(worker, reporting)
    (refused,) = reporting.result(timeout=DEADLINE)
    assert refused.kind == "refused"
    assert worker.work("race") == 2
    assert worker.run(run.run_id).output == {"a": None, "b": None}


def test_of_two_resumptions_one_counts(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a", max_attempts=1)
    run = first.start("race", {})
    first.fail(first.claim_one("race"))
    with first.transaction():
        assert resume(first, run.run_id) == ["resumed"]
        other = sessions.begin(resume, second, run.run_id)
        assert sessions.wait_until_blocked(second, other)
    assert other.result(timeout=DEADLINE) == ["not_failed"]
    assert first.work("race") == 1
    assert first.message_counts("race") == (0, 2)


def test_of_two_cancellations_one_counts(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a")
    run = first.start("race", {})
    with first.transaction():
        assert cancel(first, run.run_id, reason="first") == ["cancelled"]
        other = sessions.begin(cancel, second, run.run_id, reason="second")
        assert sessions.wait_until_blocked(second, other)
    assert other.result(timeout=DEADLINE) == ["ended"]
    assert details(first, run.run_id).cancel_reason == "first"


def test_sets_of_runs_in_any_order_do_not_deadlock(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a")
    ids = sorted(first.start("race", {}).run_id for _ in range(2))
    # The first run is locked, so that both callers queue up for it, whatever the order of their arrays.
    third = sessions.open()
    with third.transaction():
        third.rows("select from pgflow.runs where run_id = %(id)s for no key update", id=ids[0])
        one = sessions.begin(cancel, first, *ids)
        other = sessions.begin(cancel, second, *reversed(ids))
        assert sessions.wait_until_blocked(first, one)
        assert sessions.wait_until_blocked(second, other)
    outcomes = one.result(timeout=DEADLINE) + other.result(timeout=DEADLINE)
    assert sorted(outcomes) == ["cancelled", "cancelled", "ended", "ended"]


def test_of_two_starts_with_one_key_at_once_the_second_gets_the_first_ones_run(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a")
    run_id = uuid.uuid4()
    with first.transaction():
        one = start(first, "race", {"n": 1}, run_id=run_id, if_absent=True)
        starting = sessions.begin(start, second, "race", {"n": 2}, run_id=run_id, if_absent=True)
        assert sessions.wait_until_blocked(second, starting)
    two = starting.result(timeout=DEADLINE)
    assert (one.created, two.created) == (True, False)
    assert two.input == {"n": 1}
    assert first.message_counts("race") == (1, 0)


def test_a_start_that_is_rolled_back_leaves_its_key_to_the_second(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a")
    run_id = uuid.uuid4()
    with first.transaction():
        start(first, "race", {"n": 1}, run_id=run_id, if_absent=True)
        starting = sessions.begin(start, second, "race", {"n": 2}, run_id=run_id, if_absent=True)
        assert sessions.wait_until_blocked(second, starting)
        raise psycopg.Rollback
    two = starting.result(timeout=DEADLINE)
    assert (two.created, two.input) == (True, {"n": 2})
    assert second.message_counts("race") == (1, 0)


def test_a_transaction_that_cannot_see_the_run_that_was_first_fails(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a")
    run_id = uuid.uuid4()
    with second.transaction():
        second.rows("set transaction isolation level repeatable read")
        second.rows("select count(*) from pgflow.runs")
        start(first, "race", {}, run_id=run_id, if_absent=True)
        with pytest.raises(psycopg.errors.UniqueViolation), second.transaction():
            start(second, "race", {}, run_id=run_id, if_absent=True)
