"""``retry_tasks``: what it says of each task, and why it leaves some alone."""

from __future__ import annotations

from uuid import uuid4

from django_pgflow.db.core.current import Core
from tests.fixtures.sql import Sql


def test_an_unknown_run_step_or_index_is_not_found(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"))
    outcomes = sql.retry((uuid4(), "a", 0), (run.run_id, "nowhere", 0), (run.run_id, "a", 7))
    assert outcomes == ["not_found"] * 3
    assert sql.run(run.run_id).status == "failed"


def test_a_task_in_another_status_is_not_failed(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", [1, 2, 3])
    first, _ = sql.claim("flow", 2)
    sql.complete(first)
    before = sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "each")
    assert sql.retry(*((run.run_id, "each", index) for index in range(3))) == ["not_failed"] * 3
    assert (sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "each")) == before


def test_a_completed_sibling_in_a_failed_run_is_not_failed_and_the_run_stays(sql: Sql) -> None:
    sql.define("flow", "each[]", max_attempts=1)
    run = sql.start("flow", [1, 2])
    first, second = sql.claim("flow")
    sql.complete(first)
    sql.fail(second)
    before = sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "each")
    assert sql.retry((run.run_id, "each", 0)) == ["not_failed"]
    assert (sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "each")) == before


def test_a_task_of_a_completed_run_is_not_failed(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.work("flow")
    assert sql.retry((run.run_id, "a", 0)) == ["not_failed"]
    assert sql.run(run.run_id).status == "completed"


def test_each_task_has_its_own_outcome(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", max_attempts=1)
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"))
    sql.fail(sql.claim_one("flow"))
    outcomes = sql.retry((run.run_id, "b", 0), (run.run_id, "a", 0), (run.run_id, "c", 0))
    assert outcomes == ["queued", "not_failed", "not_found"]


def test_a_task_that_is_named_twice_is_queued_once(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"))
    records = sql.ask(Core().retry_tasks([(run.run_id, "a", 0)] * 2))
    assert "queued" in {record.outcome for record in records}
    assert len(sql.queued_messages("flow")) == 1


def test_no_tasks_are_no_work(sql: Sql) -> None:
    assert sql.retry() == []
