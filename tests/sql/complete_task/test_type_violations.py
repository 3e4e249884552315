"""``complete_task``: a step before a map must give an array; anything else fails the run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.sql import SQL_NULL, Sql

WRONG = [
    ("text", "string"),
    (5, "number"),
    (False, "boolean"),
    ({"items": [1]}, "object"),
    (None, "null"),
    (SQL_NULL, "null"),
]


@pytest.mark.parametrize(("output", "json_type"), WRONG)
def test_the_task_fails_and_keeps_the_offending_output(sql: Sql, output: Any, json_type: str) -> None:
    sql.define("flow", "list", "each[] < list")
    run = sql.start("flow", {})
    row = sql.complete(sql.claim_one("flow"), output)
    assert (row.step_slug, row.status) == ("list", "failed")
    assert row.error_message == f"[TYPE_VIOLATION] Produced {json_type} instead of array"
    assert row.output == (None if output is SQL_NULL else output)
    assert (row.failed_at, row.completed_at) == (sql.value("select now()"), None)
    assert row == sql.task(run.run_id, "list")


@pytest.mark.parametrize(("output", "json_type"), WRONG)
def test_the_step_fails_and_names_both_steps(sql: Sql, output: Any, json_type: str) -> None:
    sql.define("flow", "list", "each[] < list")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), output)
    step = sql.step(run.run_id, "list")
    assert (step.status, step.output, step.completed_at) == ("failed", None, None)
    assert step.failed_at is not None
    assert step.error_message == (
        f"[TYPE_VIOLATION] Map step each expects array input but dependency list produced {json_type}"
    )


def test_the_run_fails_at_once_however_many_attempts_are_left(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list", max_attempts=10)
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), "text")
    ended = sql.run(run.run_id)
    assert (ended.status, ended.completed_at, ended.output) == ("failed", None, None)
    assert ended.failed_at is not None
    assert ended.remaining_steps == 2


def test_the_map_stays_created_with_an_unknown_count(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list", "after < each")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), "text")
    for slug, initial_tasks in (("each", None), ("after", 1)):
        step = sql.step(run.run_id, slug)
        assert (step.status, step.initial_tasks) == ("created", initial_tasks)
        assert sql.tasks(run.run_id, slug) == []


def test_all_messages_of_the_run_are_archived_queued_or_started(sql: Sql) -> None:
    sql.define("flow", "list", "busy", "waiting", "each[] < list")
    run = sql.start("flow", {})
    tasks = {task.step_slug: task for task in sql.claim("flow", 2)}
    assert set(tasks) == {"busy", "list"}
    sql.complete(tasks["list"], "text")
    assert sql.message_counts("flow") == (0, 3)
    assert sql.run(run.run_id).status == "failed"


def test_siblings_are_closed(sql: Sql) -> None:
    sql.define("flow", "list", "busy", "waiting", "each[] < list")
    run = sql.start("flow", {})
    tasks = {task.step_slug: task for task in sql.claim("flow", 2)}
    sql.complete(tasks["list"], "text")
    assert sql.task_statuses(run.run_id, "busy") == ["cancelled"]
    assert sql.task_statuses(run.run_id, "waiting") == ["cancelled"]
    for slug in ("busy", "waiting"):
        step = sql.step(run.run_id, slug)
        assert (step.status, step.skip_reason) == ("skipped", "run_failed")


def test_messages_of_other_runs_stay(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list")
    sql.start("flow", {})
    other = sql.start("flow", {})
    sql.complete(sql.claim("flow", 1)[0], "text")
    assert [message.message["run_id"] for message in sql.queued_messages("flow")] == [str(other.run_id)]


def test_with_several_maps_one_of_them_is_named(sql: Sql) -> None:
    sql.define("flow", "list", "x[] < list", "y[] < list", "single < list")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), {})
    assert sql.step(run.run_id, "list").error_message in {
        f"[TYPE_VIOLATION] Map step {slug} expects array input but dependency list produced object"
        for slug in ("x", "y")
    }


def test_a_step_without_a_map_behind_it_may_give_anything(sql: Sql) -> None:
    sql.define("flow", "single", "after < single")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), "text")
    assert sql.step_statuses(run.run_id) == {"single": "completed", "after": "started"}


def test_a_violation_is_not_turned_by_a_later_report(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list")
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    failed = sql.complete(task, "text")
    assert sql.complete(task, [1, 2]) == failed
    assert sql.run(run.run_id).status == "failed"
