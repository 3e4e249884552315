"""The races of the contract's section 15, row by row, stepped by hand where no other folder has them.

Rows 1, 3, 7, 8, 10, 13 to 19, 22 and 23 need no second session; they are in ``tests/sql``.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.sql import DEADLINE, Sessions, Sql, completed, failed

TESTS = Path(__file__).parent.parent
ROWS = {
    2: [
        "sql/start_tasks/test_races.py::test_of_two_calls_for_one_message_only_one_gets_the_task",
        "sql/exchange/test_claims.py::test_many_workers_take_each_task_once",
    ],
    4: [
        "sql/fail_task/test_races.py::test_a_retry_that_waited_for_the_runs_failure_does_not_revive_it",
        "sql/fail_task/test_races.py::test_of_two_last_failures_the_first_ends_the_run",
    ],
    5: [
        "sql/complete_task/test_races.py::test_a_completion_that_waited_for_the_runs_failure_does_not_count",
        "sql/exchange/test_refused_reports.py::test_a_report_that_waited_for_the_runs_failure_is_refused",
    ],
    6: [
        "concurrency/test_races.py::test_a_worker_presumed_dead_cannot_take_the_task_from_the_next",
        "concurrency/test_races.py::test_a_report_that_waited_for_the_requeue_does_not_count",
    ],
    9: [
        "concurrency/test_races.py::test_a_report_that_waited_while_the_task_was_given_up_does_not_revive_the_run",
        "concurrency/test_races.py::test_a_task_that_is_reported_meanwhile_is_not_given_up",
    ],
    11: ["concurrency/test_races.py::test_tasks_of_a_run_that_ends_meanwhile_are_not_requeued"],
    12: [
        "sql/complete_task/test_races.py::test_a_report_may_come_in_a_transaction_older_than_the_start",
        "sql/fail_task/test_races.py::test_a_failure_may_be_reported_in_a_transaction_older_than_the_run",
        "sql/start_tasks/test_races.py::test_a_poll_may_begin_before_the_run",
        "sql/exchange/test_claims.py::test_claims_and_reports_may_be_made_in_a_transaction_older_than_the_run",
    ],
    20: [
        "concurrency/test_races.py::test_reports_of_other_runs_and_claims_do_not_wait",
        "concurrency/test_races.py::test_a_report_that_ends_no_step_writes_neither_run_nor_other_steps",
    ],
    21: [
        "sql/exchange/test_locks.py::test_workers_that_report_the_same_runs_in_opposite_orders_do_not_deadlock",
        "integration/control/test_races.py::test_sets_of_runs_in_any_order_do_not_deadlock",
    ],
}


@pytest.mark.parametrize("row", ROWS)
def test_the_tests_of_each_row_exist(row: int) -> None:
    for reference in ROWS[row]:
        path, name = reference.split("::")
        tree = ast.parse((TESTS / path).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.fixture
def pair(sessions: Sessions) -> tuple[Sql, Sql]:
    """Open two sessions."""
    return sessions.open(), sessions.open()


def stall(sql: Sql, *tasks: Any, requeued: int = 0) -> None:
    """Let tasks be stalled, after so many times before."""
    for task in tasks:
        sql.age(task, 10_000)
    sql.rows("update pgflow.step_tasks set requeued_count = %(n)s where status = 'started'", n=requeued)


# Row 6


@pytest.mark.parametrize("late", [completed, failed])
def test_a_worker_presumed_dead_cannot_take_the_task_from_the_next(
    sessions: Sessions, pair: tuple[Sql, Sql], late: Any
) -> None:
    dead, living = pair
    dead.define("race", "a", max_attempts=1)
    run = dead.start("race", {})
    (lost,) = dead.exchange(["race"])
    stall(living, lost)
    assert living.requeue_stalled_tasks() == 1
    with living.transaction():
        # The next worker has it, but has not committed that when the first comes back to life.
        (task,) = living.exchange(["race"])
        report = sessions.begin(dead.exchange, ["race"], late(lost), capacity=0)
        sessions.wait_until_blocked(dead, report)
    (refused,) = report.result(timeout=DEADLINE)
    assert refused.kind == "refused"
    assert living.exchange(["race"], completed(task, "done"), capacity=0) == []
    assert living.run(run.run_id).output == {"a": "done"}


@pytest.mark.parametrize("late", [completed, failed])
def test_a_report_that_waited_for_the_requeue_does_not_count(
    sessions: Sessions, pair: tuple[Sql, Sql], late: Any
) -> None:
    dead, keeper = pair
    dead.define("race", "a", max_attempts=1)
    run = dead.start("race", {})
    (lost,) = dead.exchange(["race"])
    stall(keeper, lost)
    with keeper.transaction():
        assert keeper.requeue_stalled_tasks() == 1
        report = sessions.begin(dead.exchange, ["race"], late(lost), capacity=0)
        assert sessions.wait_until_blocked(dead, report)
    assert [record.kind for record in report.result(timeout=DEADLINE)] == ["refused"]
    assert keeper.task_statuses(run.run_id, "a") == ["queued"]


# Row 9


@pytest.mark.parametrize("late", ["complete", "fail"])
def test_a_report_that_waited_while_the_task_was_given_up_does_not_revive_the_run(
    sessions: Sessions, pair: tuple[Sql, Sql], late: str
) -> None:
    worker, keeper = pair
    worker.define("race", "a", "b", max_attempts=9)
    run = worker.start("race", {})
    silent, busy = worker.claim("race")
    stall(keeper, silent, requeued=3)
    with keeper.transaction():
        assert keeper.requeue_stalled_tasks() == 0
        report = sessions.begin(getattr(worker, late), silent)
        assert sessions.wait_until_blocked(worker, report)
    assert report.result(timeout=DEADLINE).status == "failed"
    assert worker.complete(busy).status == "cancelled"
    assert keeper.run(run.run_id).status == "failed"
    assert keeper.message_counts("race") == (0, 2)


def test_a_task_that_is_reported_meanwhile_is_not_given_up(sessions: Sessions, pair: tuple[Sql, Sql]) -> None:
    worker, keeper = pair
    worker.define("race", "a")
    run = worker.start("race", {})
    silent = worker.claim_one("race")
    stall(keeper, silent, requeued=3)
    with worker.transaction():
        worker.complete(silent, "done")
        keeping = sessions.begin(keeper.requeue_stalled_tasks)
        sessions.wait_until_blocked(keeper, keeping)
    assert keeping.result(timeout=DEADLINE) == 0
    assert keeper.run(run.run_id).status == "completed"
    assert keeper.task(run.run_id, "a").permanently_stalled_at is None


# Row 11


@pytest.mark.parametrize("requeued", [0, 3])
def test_tasks_of_a_run_that_ends_meanwhile_are_not_requeued(
    sessions: Sessions, pair: tuple[Sql, Sql], requeued: int
) -> None:
    worker, keeper = pair
    worker.define("race", "a", "b", max_attempts=1)
    run = worker.start("race", {})
    fatal, silent = worker.claim("race")
    stall(keeper, silent, requeued=requeued)
    with worker.transaction():
        worker.fail(fatal)
        keeping = sessions.begin(keeper.requeue_stalled_tasks)
        sessions.wait_until_blocked(keeper, keeping)
    assert keeping.result(timeout=DEADLINE) == 0
    assert keeper.requeue_stalled_tasks() == 0
    assert keeper.task_statuses(run.run_id, "b") == ["cancelled"]
    assert keeper.task(run.run_id, "b").permanently_stalled_at is None
    assert keeper.message_counts("race") == (0, 2)


# Row 20


def test_reports_of_other_runs_and_claims_do_not_wait(sessions: Sessions, pair: tuple[Sql, Sql]) -> None:
    first, second = pair
    first.define("race", "each[]", "after < each")
    run = first.start("race", [1, 2, 3])
    other = first.start("race", [1])
    tasks = first.claim("race", 2)
    (task_of_other,) = [task for task in first.claim("race") if task.run_id == other.run_id]
    first.hurry("race")
    with first.transaction():
        first.complete(tasks[0], 1)
        second.complete(task_of_other, 1)
        assert second.run(other.run_id).remaining_steps == 1
    again = first.start("race", [1, 2, 3])
    held = first.exchange(["race"], capacity=1)
    with first.transaction():
        first.exchange(["race"], *map(completed, held), capacity=0)
        # Also a task of the very run that the other reports on.
        claimed = second.exchange(["race"], capacity=10)
        assert again.run_id in {task.run_id for task in claimed} or held[0].run_id in {t.run_id for t in claimed}
    assert first.run(run.run_id).status == "started"


@pytest.mark.parametrize("outcome", ["completed", "retried"])
def test_a_report_that_ends_no_step_writes_neither_run_nor_other_steps(sessions: Sessions, outcome: str) -> None:
    sql = sessions.open()
    sql.define("race", "each[]", "other", "after < each other")
    run = sql.start("race", [1, 2])
    task = sql.claim("race")[0]

    def versions() -> list[Any]:
        return sql.rows(
            "select 'run' as name, r.xmin::text, r.ctid::text from pgflow.runs r where r.run_id = %(id)s union all "
            "select s.step_slug, s.xmin::text, s.ctid::text from pgflow.step_states s "
            "where s.run_id = %(id)s and s.step_slug <> 'each' order by name",
            id=run.run_id,
        )

    before = versions()
    if outcome == "completed":
        assert sql.complete(task, 1).status == "completed"
    else:
        assert sql.fail(task).status == "queued"
    assert versions() == before


# No row of the list: a flow that is deleted while others look at all flows


def test_a_flow_that_is_deleted_meanwhile_does_not_keep_the_others_from_being_requeued(
    sessions: Sessions, pair: tuple[Sql, Sql]
) -> None:
    operator, keeper = pair
    operator.define("race", "a")
    operator.define("race_gone", "a")
    operator.start("race", {})
    stall(keeper, operator.claim_one("race"))
    with operator.transaction():
        operator.call("pgflow.delete_flow_and_data", p_flow_slug="race_gone")
        keeping = sessions.begin(keeper.requeue_stalled_tasks)
        sessions.wait_until_blocked(keeper, keeping)
    assert keeping.result(timeout=DEADLINE) == 1


def test_a_flow_that_is_deleted_meanwhile_does_not_keep_the_others_from_their_worker(
    sessions: Sessions, pair: tuple[Sql, Sql]
) -> None:
    operator, worker = pair
    operator.define("race", "a")
    operator.define("race_gone", "a")
    run = operator.start("race", {})
    (task,) = worker.exchange(["race"])
    with operator.transaction():
        operator.call("pgflow.delete_flow_and_data", p_flow_slug="race_gone")
        working = sessions.begin(worker.exchange, ["race", "race_gone"], completed(task))
        sessions.wait_until_blocked(worker, working)
    assert working.result(timeout=DEADLINE) == []
    assert operator.run(run.run_id).status == "completed"


def test_a_flow_is_deleted_while_a_report_of_it_is_under_way(sessions: Sessions, pair: tuple[Sql, Sql]) -> None:
    """Deletion waits for the runs first, as reports do, so that neither holds what the other needs."""
    operator, worker = pair
    worker.define("race", "a", "b < a")
    worker.start("race", {})
    (task,) = worker.exchange(["race"])
    with worker.transaction():
        # What a report does first.
        worker.rows("select run_id from pgflow.runs where flow_slug = 'race' for no key update")
        deleting = sessions.begin(operator.call, "pgflow.delete_flow_and_data", p_flow_slug="race")
        assert sessions.wait_until_blocked(operator, deleting)
        worker.complete(task, 1)
    deleting.result(timeout=DEADLINE)
    assert worker.value("select count(*) from pgflow.runs where flow_slug = 'race'") == 0
