"""``complete_task``: two sessions report into one run."""

from __future__ import annotations

from tests.fixtures.sql import DEADLINE, Sessions


def test_the_last_two_tasks_of_a_map_may_complete_at_once(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "each[]", "after < each")
    run = first.start("race", ["x", "y"])
    one, two = first.claim("race")
    with first.transaction():
        first.complete(one, 1)
        other = sessions.begin(second.complete, two, 2)
        sessions.wait_until_blocked(second, other)
    assert other.result(timeout=DEADLINE).status == "completed"
    step = first.step(run.run_id, "each")
    assert (step.status, step.remaining_tasks, step.output) == ("completed", 0, [1, 2])
    assert first.task_statuses(run.run_id, "after") == ["queued"]


def test_the_two_parents_of_a_join_may_complete_at_once(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a", "b", "join < a b")
    run = first.start("race", {})
    one, two = first.claim("race")
    with first.transaction():
        first.complete(one, 1)
        other = sessions.begin(second.complete, two, 2)
        sessions.wait_until_blocked(second, other)
    other.result(timeout=DEADLINE)
    step = first.step(run.run_id, "join")
    assert (step.status, step.remaining_deps) == ("started", 0)
    assert first.run(run.run_id).remaining_steps == 1


def test_the_last_two_steps_may_complete_at_once(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a", "b")
    run = first.start("race", {})
    one, two = first.claim("race")
    with first.transaction():
        first.complete(one, "A")
        other = sessions.begin(second.complete, two, "B")
        sessions.wait_until_blocked(second, other)
    other.result(timeout=DEADLINE)
    ended = first.run(run.run_id)
    assert (ended.status, ended.remaining_steps, ended.output) == ("completed", 0, {"a": "A", "b": "B"})


def test_of_two_reports_for_one_task_the_first_counts(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a", "b < a")
    run = first.start("race", {})
    task = first.claim_one("race")
    with first.transaction():
        first.complete(task, "first")
        other = sessions.begin(second.complete, task, "second")
        sessions.wait_until_blocked(second, other)
    assert other.result(timeout=DEADLINE).output == "first"
    assert (first.run(run.run_id).remaining_steps, len(first.queued_messages("race"))) == (1, 1)


def test_a_completion_that_waited_for_the_runs_failure_does_not_count(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a", "b", "c < b", max_attempts=1)
    run = first.start("race", {})
    failing, completing = first.claim("race")
    with first.transaction():
        first.fail(failing, "broken")
        other = sessions.begin(second.complete, completing, "late")
        assert sessions.wait_until_blocked(second, other)
        before = first.run(run.run_id)
    assert other.result(timeout=DEADLINE).status == "cancelled"
    assert first.run(run.run_id) == before
    assert first.step_statuses(run.run_id) == {"a": "failed", "b": "skipped", "c": "created"}
    assert first.message_counts("race") == (0, 2)


def test_a_wrong_type_that_waited_for_the_runs_failure_adds_no_error(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a", "list", "each[] < list", max_attempts=1)
    run = first.start("race", {})
    failing, violating = first.claim("race")
    with first.transaction():
        first.fail(failing, "broken")
        other = sessions.begin(second.complete, violating, "text")
        assert sessions.wait_until_blocked(second, other)
    assert other.result(timeout=DEADLINE).status == "cancelled"
    assert first.step_statuses(run.run_id)["list"] == "skipped"


def test_a_report_may_come_in_a_transaction_older_than_the_start(sessions: Sessions) -> None:
    worker, reporter = sessions.open(), sessions.open()
    worker.define("race", "a", "b < a")
    with reporter.transaction():
        reporter.rows("select now()")
        run = worker.start("race", {})
        reporter.complete(worker.claim_one("race"), "A")
        reporter.complete(reporter.claim_one("race"), "B")
    for slug in ("a", "b"):
        task, step = worker.task(run.run_id, slug), worker.step(run.run_id, slug)
        assert task.queued_at <= task.started_at <= task.completed_at
        assert step.created_at <= step.started_at <= step.completed_at
    ended = worker.run(run.run_id)
    assert ended.status == "completed"
    assert ended.started_at <= ended.completed_at


def test_an_empty_array_may_be_reported_in_a_transaction_older_than_the_run(sessions: Sessions) -> None:
    worker, reporter = sessions.open(), sessions.open()
    worker.define("race", "list", "each[] < list")
    with reporter.transaction():
        reporter.rows("select now()")
        run = worker.start("race", {})
        reporter.complete(worker.claim_one("race"), [])
    step = worker.step(run.run_id, "each")
    assert step.created_at <= step.started_at <= step.completed_at
    assert worker.run(run.run_id).status == "completed"


def test_a_wrong_type_may_be_reported_in_a_transaction_older_than_the_run(sessions: Sessions) -> None:
    worker, reporter = sessions.open(), sessions.open()
    worker.define("race", "busy", "list", "each[] < list")
    with reporter.transaction():
        reporter.rows("select now()")
        run = worker.start("race", {})
        task = next(task for task in worker.claim("race") if task.step_slug == "list")
        assert reporter.complete(task, "text").status == "failed"
    assert worker.run(run.run_id).status == "failed"
