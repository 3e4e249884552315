"""``fail_task``: a report that names its worker or attempt counts only if they are still right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.sql import Sql


@pytest.fixture
def task(sql: Sql) -> Any:
    """Leave a task at its second and last attempt, with the worker ``sql.worker_id``."""
    sql.define("flow", "a", max_attempts=2, base_delay=0)
    sql.start("flow", {})
    sql.fail(sql.claim_one("flow", worker_id=sql.worker()), "first")
    return sql.claim_one("flow")


def test_the_right_worker_and_attempt_count(sql: Sql, task: Any) -> None:
    assert sql.fail(task, "second", worker_id=sql.worker_id, attempt=2).status == "failed"


def test_null_checks_nothing(sql: Sql, task: Any) -> None:
    assert sql.fail(task, "second", worker_id=None, attempt=None).status == "failed"


@pytest.mark.parametrize("attempt", [1, 3])
def test_another_attempt_changes_nothing(sql: Sql, task: Any, attempt: int) -> None:
    before = sql.task(task.run_id, "a"), sql.steps(task.run_id), sql.queued_messages("flow")[0].vt
    row = sql.fail(task, "stale", worker_id=sql.worker_id, attempt=attempt)
    assert (row.status, row.error_message) == ("started", "first")
    assert (sql.task(task.run_id, "a"), sql.steps(task.run_id), sql.queued_messages("flow")[0].vt) == before


def test_another_worker_changes_nothing(sql: Sql, task: Any) -> None:
    before = sql.task(task.run_id, "a"), sql.steps(task.run_id), sql.queued_messages("flow")[0].vt
    row = sql.fail(task, "stale", worker_id=sql.worker(), attempt=2)
    assert (row.status, row.error_message) == ("started", "first")
    assert (sql.task(task.run_id, "a"), sql.steps(task.run_id), sql.queued_messages("flow")[0].vt) == before


def test_a_worker_presumed_dead_cannot_fail_what_another_runs(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    dead, alive = sql.worker(), sql.worker()
    task = sql.claim_one("flow", worker_id=dead)
    sql.age(task, 1000)
    sql.requeue_stalled_tasks()
    sql.claim_one("flow", worker_id=alive)
    sql.fail(task, "from the dead", worker_id=dead, attempt=1)
    sql.complete(task, "from the living", worker_id=alive, attempt=2)
    assert sql.run(run.run_id).output == {"a": "from the living"}
