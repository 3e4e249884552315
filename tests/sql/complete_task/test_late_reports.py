"""``complete_task``: late, repeated and unknown reports change nothing and never raise."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.fixtures.sql import SQL_NULL, Sql


def call(sql: Sql, **arguments: Any) -> list[Any]:
    """Call with arguments that need not name a task."""
    return sql.call("pgflow.complete_task", **{"output": None, **arguments})


def test_an_unknown_run_step_or_index_gives_no_row(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.claim_one("flow")
    before = sql.run(run.run_id), sql.steps(run.run_id)
    assert call(sql, run_id=uuid4(), step_slug="a", task_index=0) == []
    assert call(sql, run_id=run.run_id, step_slug="nowhere", task_index=0) == []
    assert call(sql, run_id=run.run_id, step_slug="a", task_index=7) == []
    assert (sql.run(run.run_id), sql.steps(run.run_id)) == before
    assert sql.task_statuses(run.run_id, "a") == ["started"]


def test_a_queued_task_cannot_be_completed_and_keeps_its_message(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    (row,) = call(sql, run_id=run.run_id, step_slug="a", task_index=0)
    assert (row.status, row.output, row.completed_at) == ("queued", None, None)
    assert sql.message_counts("flow") == (1, 0)
    assert sql.step_statuses(run.run_id) == {"a": "started", "b": "created"}


def test_completing_twice_keeps_the_first_output(sql: Sql) -> None:
    sql.define("flow", "each[]", "after < each")
    run = sql.start("flow", [1, 2])
    task, _ = sql.claim("flow")
    sql.complete(task, "first")
    row = sql.complete(task, "second")
    assert (row.status, row.output) == ("completed", "first")
    assert sql.step(run.run_id, "each").remaining_tasks == 1


def test_a_report_after_the_step_has_completed_changes_nothing(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.complete(task, "first")
    before = sql.run(run.run_id), sql.steps(run.run_id)
    assert sql.complete(task, "second").output == "first"
    assert (sql.run(run.run_id), sql.steps(run.run_id)) == before
    assert len(sql.queued_messages("flow")) == 1


def test_a_report_after_the_step_was_skipped_archives_the_message_alone(sql: Sql) -> None:
    sql.define("flow", "a", "b")
    run = sql.start("flow", {})
    task, _ = sql.claim("flow")
    sql.rows(
        "update pgflow.step_states set status = 'skipped', skip_reason = 'x', remaining_tasks = null "
        "where run_id = %(id)s and step_slug = 'a'",
        id=run.run_id,
    )
    before = sql.run(run.run_id), sql.steps(run.run_id)
    assert sql.complete(task, "late").output is None
    assert (sql.run(run.run_id), sql.steps(run.run_id)) == before
    assert [message.msg_id for message in sql.archived_messages("flow")] == [task.msg_id]


def test_a_report_for_a_failed_task_leaves_it_failed_without_output(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.fail(task, "broken")
    row = sql.complete(task, "late")
    assert (row.status, row.output, row.completed_at, row.error_message) == ("failed", None, None, "broken")
    assert sql.run(run.run_id).status == "failed"


def test_a_report_in_a_failed_run_changes_nothing(sql: Sql) -> None:
    sql.define("flow", "a", "b", "c < b", max_attempts=1)
    run = sql.start("flow", {})
    first, second = sql.claim("flow")
    sql.fail(first)
    before = sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "b")
    row = sql.complete(second, "late")
    assert row.status != "completed"
    assert (sql.run(run.run_id), sql.steps(run.run_id), sql.tasks(run.run_id, "b")) == before


@pytest.mark.parametrize("output", ["not an array", None, SQL_NULL])
def test_a_wrong_type_from_a_queued_task_is_no_violation(sql: Sql, output: Any) -> None:
    sql.define("flow", "list", "each[] < list")
    run = sql.start("flow", {})
    row = sql.complete(sql.task(run.run_id, "list"), output)
    assert row.status == "queued"
    assert sql.run(run.run_id).status == "started"
    assert sql.message_counts("flow") == (1, 0)
