"""``exchange``: a report that is stale changes nothing and comes back marked."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.fixtures.sql import DEADLINE, Sessions, Sql, completed, failed, released, report

OUTCOMES = ["completed", "failed", "released"]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_another_attempt(sql: Sql, outcome: str) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    before = sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "a")
    (refused,) = sql.exchange(["flow"], report(task, outcome, attempt=2))
    assert (refused.kind, refused.run_id, refused.step_slug, refused.task_index, refused.attempt) == (
        "refused",
        run.run_id,
        "a",
        0,
        2,
    )
    assert (sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "a")) == before
    assert sql.message_counts("flow") == (1, 0)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_another_worker(sql: Sql, outcome: str) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    before = sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "a")
    (refused,) = sql.exchange(["flow"], report(task, outcome), worker_id=sql.worker())
    assert refused.kind == "refused"
    assert (sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "a")) == before


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_task_that_was_requeued(sql: Sql, outcome: str) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    sql.age(task, 1000)
    assert sql.requeue_stalled_tasks() == 1
    before = sql.tasks(run.run_id, "a")
    (refused,) = sql.exchange(["flow"], report(task, outcome), capacity=0)
    assert refused.kind == "refused"
    assert sql.tasks(run.run_id, "a") == before


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_task_that_another_worker_has_by_now(sql: Sql, outcome: str) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    sql.age(task, 1000)
    sql.requeue_stalled_tasks()
    other = sql.worker()
    (current,) = sql.exchange(["flow"], worker_id=other)
    assert current.attempt == 2
    assert [record.kind for record in sql.exchange(["flow"], report(task, outcome))] == ["refused"]
    sql.exchange(["flow"], completed(current, "right"), worker_id=other)
    assert sql.run(run.run_id).output == {"a": "right"}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_task_that_is_completed_already(sql: Sql, outcome: str) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    sql.exchange(["flow"], completed(task, "first"), capacity=0)
    (refused,) = sql.exchange(["flow"], report(task, outcome, output='"second"'), capacity=0)
    assert refused.kind == "refused"
    assert sql.step(run.run_id, "a").output == "first"
    assert sql.run(run.run_id).remaining_steps == 1


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_task_of_a_run_that_has_failed(sql: Sql, outcome: str) -> None:
    sql.define("flow", "a", "b", max_attempts=1)
    run = sql.start("flow", {})
    one, two = sql.exchange(["flow"])
    sql.exchange(["flow"], failed(one))
    before = sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "b")
    assert [record.kind for record in sql.exchange(["flow"], report(two, outcome))] == ["refused"]
    assert (sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "b")) == before


def test_a_task_that_does_not_exist(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    unknown = [
        report(task, "completed", run_id=uuid4()),
        report(task, "completed", step_slug="nowhere"),
        report(task, "completed", task_index=9),
    ]
    assert [record.kind for record in sql.exchange(["flow"], *unknown)] == ["refused"] * 3


def test_one_report_twice_in_a_call_counts_once(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", [1, 2])
    one, _two = sql.exchange(["flow"])
    records = sql.exchange(["flow"], completed(one, "x"), completed(one, "x"))
    assert [record.kind for record in records] == ["refused"]
    assert sql.step(run.run_id, "each").remaining_tasks == 1
    assert sql.task_statuses(run.run_id, "each") == ["completed", "started"]


def test_of_two_reports_that_contradict_the_first_counts(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    for outcome, status in (("completed", "completed"), ("failed", "failed")):
        run = sql.start("flow", {})
        (task,) = sql.exchange(["flow"])
        reports = [completed(task), failed(task)]
        records = sql.exchange(["flow"], *sorted(reports, key=lambda report: report.outcome != outcome))
        assert [record.kind for record in records] == ["refused"]
        assert sql.run(run.run_id).status == status


def test_a_refused_report_does_not_hold_up_the_others(sql: Sql) -> None:
    sql.define("flow", "a", "b", "c < b")
    run = sql.start("flow", {})
    one, two = sql.exchange(["flow"])
    records = sql.exchange(["flow"], report(one, "completed", attempt=9), completed(two, "B"))
    assert sorted((record.kind, record.step_slug) for record in records) == [("claimed", "c"), ("refused", "a")]
    assert sql.step_statuses(run.run_id) == {"a": "started", "b": "completed", "c": "started"}


def test_a_report_that_waited_for_the_runs_failure_is_refused(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "a", "b", max_attempts=1)
    run = first.start("race", {})
    worker_id = first.worker()
    one, two = first.exchange(["race"], worker_id=worker_id)
    with first.transaction():
        first.exchange(["race"], failed(one), worker_id=worker_id)
        other = sessions.begin(second.exchange, ["race"], completed(two), worker_id=worker_id)
        assert sessions.wait_until_blocked(second, other)
    assert [record.kind for record in other.result(timeout=DEADLINE)] == ["refused"]
    assert first.task_statuses(run.run_id, "b") == ["cancelled"]


def test_released_after_a_second_claim_is_refused(sql: Sql) -> None:
    sql.define("flow", "a", base_delay=0)
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    (again,) = sql.exchange(["flow"], failed(task, "once"))
    assert again.attempt == 2
    assert [record.kind for record in sql.exchange(["flow"], released(task))] == ["refused"]
    assert sql.task(run.run_id, "a").status == "started"


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_execution_from_before_a_retry_though_the_same_worker_has_the_task_again(sql: Sql, outcome: str) -> None:
    sql.define("flow", "failing", "slow", max_attempts=1)
    run = sql.start("flow", {})
    one, cut_short = sql.exchange(["flow"])
    # The handler of "slow" goes on in its thread while its run fails, is retried, and is claimed anew.
    sql.exchange(["flow"], failed(one))
    sql.retry((run.run_id, "failing", 0))
    assert {task.step_slug for task in sql.exchange(["flow"])} == {"failing", "slow"}
    (refused,) = sql.exchange(["flow"], report(cut_short, outcome), capacity=0)
    assert refused.kind == "refused"
    assert sql.task_statuses(run.run_id, "slow") == ["started"]


def test_a_failure_that_is_reported_again_after_a_retry(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    sql.exchange(["flow"], failed(task))
    sql.retry((run.run_id, "a", 0))
    sql.exchange(["flow"])
    # The answer to the first report was lost with the connection, so the worker repeats it.
    assert [record.kind for record in sql.exchange(["flow"], failed(task))] == ["refused"]
    assert sql.run(run.run_id).status == "started"
