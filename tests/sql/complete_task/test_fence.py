"""``complete_task``: a report that names its worker or attempt counts only if they are still right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.sql import Sql


@pytest.fixture
def task(sql: Sql) -> Any:
    """Leave a task at its second attempt, with the worker ``sql.worker_id``."""
    sql.define("flow", "a", "b < a", base_delay=0)
    sql.start("flow", {})
    sql.fail(sql.claim_one("flow", worker_id=sql.worker()))
    return sql.claim_one("flow")


def test_the_right_worker_and_attempt_count(sql: Sql, task: Any) -> None:
    assert sql.complete(task, 1, worker_id=sql.worker_id, attempt=2).status == "completed"


def test_either_can_be_given_alone(sql: Sql, task: Any) -> None:
    assert sql.complete(task, 1, attempt=2).status == "completed"
    after = sql.claim_one("flow")
    assert sql.complete(after, 1, worker_id=sql.worker_id).status == "completed"


def test_null_checks_nothing(sql: Sql, task: Any) -> None:
    assert sql.complete(task, 1, worker_id=None, attempt=None).status == "completed"


@pytest.mark.parametrize("attempt", [1, 3])
def test_another_attempt_changes_nothing(sql: Sql, task: Any, attempt: int) -> None:
    before = sql.task(task.run_id, "a"), sql.steps(task.run_id), sql.message_counts("flow")
    row = sql.complete(task, "stale", worker_id=sql.worker_id, attempt=attempt)
    assert (row.status, row.output) == ("started", None)
    assert (sql.task(task.run_id, "a"), sql.steps(task.run_id), sql.message_counts("flow")) == before


def test_another_worker_changes_nothing(sql: Sql, task: Any) -> None:
    before = sql.task(task.run_id, "a"), sql.steps(task.run_id), sql.message_counts("flow")
    row = sql.complete(task, "stale", worker_id=sql.worker(), attempt=2)
    assert (row.status, row.output) == ("started", None)
    assert (sql.task(task.run_id, "a"), sql.steps(task.run_id), sql.message_counts("flow")) == before


def test_a_stale_report_of_a_wrong_type_is_no_violation(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), "text", attempt=9)
    assert sql.run(run.run_id).status == "started"
    assert sql.task_statuses(run.run_id, "list") == ["started"]


def test_a_worker_presumed_dead_cannot_complete_what_another_runs(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    dead, alive = sql.worker(), sql.worker()
    task = sql.claim_one("flow", worker_id=dead)
    sql.age(task, 1000)
    assert sql.requeue_stalled_tasks() == 1
    sql.claim_one("flow", worker_id=alive)
    sql.complete(task, "from the dead", worker_id=dead, attempt=1)
    assert sql.task_statuses(run.run_id, "a") == ["started"]
    sql.complete(task, "from the living", worker_id=alive, attempt=2)
    assert sql.run(run.run_id).output == {"a": "from the living"}
