"""``_archive_task_message``: archives the message of one task, if it has one."""

from __future__ import annotations

from typing import Any

from tests.fixtures.sql import Sql


def archive(sql: Sql, run_id: Any, step_slug: str, task_index: int) -> None:
    sql.call("pgflow._archive_task_message", p_run_id=run_id, p_step_slug=step_slug, p_task_index=task_index)


def test_the_message_of_that_task_alone_is_archived(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", [1, 2, 3])
    archive(sql, run.run_id, "each", 1)
    assert [message.message["task_index"] for message in sql.queued_messages("flow")] == [0, 2]
    assert [message.message["task_index"] for message in sql.archived_messages("flow")] == [1]


def test_a_second_call_changes_nothing(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    for _ in range(2):
        archive(sql, run.run_id, "a", 0)
    assert sql.message_counts("flow") == (0, 1)


def test_a_task_without_a_message_and_one_that_is_not_there_are_passed_over(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.rows("update pgflow.step_tasks set message_id = null where run_id = %(id)s", id=run.run_id)
    archive(sql, run.run_id, "a", 0)
    archive(sql, run.run_id, "a", 7)
    assert sql.message_counts("flow") == (1, 0)
