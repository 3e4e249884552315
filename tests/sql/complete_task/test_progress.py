"""``complete_task``: the task, its message, its step, the steps behind it and the run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.sql import SQL_NULL, Sql


def test_the_task_is_completed_with_its_output(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    row = sql.complete(sql.claim_one("flow"), {"answer": 42})
    assert (row.status, row.output, row.attempts_count) == ("completed", {"answer": 42}, 1)
    assert row == sql.task(run.run_id, "a")


def test_its_message_moves_to_the_archive_and_others_stay(sql: Sql) -> None:
    sql.define("flow", "a", "b")
    sql.start("flow", {})
    first, second = sql.claim("flow")
    sql.complete(first)
    assert [message.msg_id for message in sql.queued_messages("flow")] == [second.msg_id]
    (archived,) = sql.archived_messages("flow")
    assert (archived.msg_id, archived.message["step_slug"]) == (first.msg_id, "a")


def test_a_task_without_a_message_can_be_completed(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.rows("update pgflow.step_tasks set message_id = null")
    sql.complete(task)
    assert sql.run(run.run_id).status == "completed"


def test_the_step_is_completed_with_the_output_of_its_task(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), [1, {"x": None}])
    step = sql.step(run.run_id, "a")
    assert (step.status, step.output, step.remaining_tasks) == ("completed", [1, {"x": None}], 0)


@pytest.mark.parametrize(("output", "stored"), [(SQL_NULL, None), (None, "null")])
def test_sql_null_and_json_null_are_kept_apart(sql: Sql, output: Any, stored: str | None) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), output)
    row = sql.row(
        "select s.output::text as of_step, t.output::text as of_task from pgflow.step_states s "
        "join pgflow.step_tasks t using (run_id, step_slug) where run_id = %(id)s",
        id=run.run_id,
    )
    assert (row.of_step, row.of_task) == (stored, stored)


def test_remaining_steps_count_down_along_a_chain(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", "c < b")
    run = sql.start("flow", {})
    seen = [(run.remaining_steps, run.status)]
    for _ in range(3):
        sql.complete(sql.claim_one("flow"))
        now = sql.run(run.run_id)
        seen.append((now.remaining_steps, now.status))
    assert seen == [(3, "started"), (2, "started"), (1, "started"), (0, "completed")]


def test_the_next_step_starts_when_its_last_dependency_completes(sql: Sql) -> None:
    sql.define("flow", "a", "b", "join < a b")
    run = sql.start("flow", {})
    first, second = sql.claim("flow")
    sql.complete(first)
    assert (sql.step(run.run_id, "join").status, sql.step(run.run_id, "join").remaining_deps) == ("created", 1)
    sql.complete(second)
    step = sql.step(run.run_id, "join")
    assert (step.status, step.remaining_deps, step.remaining_tasks) == ("started", 0, 1)
    assert sql.task_statuses(run.run_id, "join") == ["queued"]


def test_a_diamond_runs_to_its_end(sql: Sql) -> None:
    sql.define("flow", "top", "left < top", "right < top", "bottom < left right")
    run = sql.start("flow", 1)
    executed = sql.work("flow", top=10, left=20, right=30, bottom=lambda value: value["left"] + value["right"])
    assert executed == 4
    assert sql.run(run.run_id).output == {"bottom": 50}
    assert set(sql.step_statuses(run.run_id).values()) == {"completed"}


def test_a_completion_does_not_touch_another_run(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run, other = sql.start("flow", 1), sql.start("flow", 2)
    sql.complete(sql.claim("flow")[0])
    assert sql.step_statuses(run.run_id) == {"a": "completed", "b": "started"}
    assert sql.step_statuses(other.run_id) == {"a": "started", "b": "created"}


def test_a_success_after_a_failure_keeps_the_last_error_on_the_task(sql: Sql) -> None:
    sql.define("flow", "a", base_delay=0)
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"), "once")
    row = sql.complete(sql.claim_one("flow"), "ok")
    assert (row.status, row.error_message, row.attempts_count) == ("completed", "once", 2)
    assert (sql.step(run.run_id, "a").error_message, sql.step(run.run_id, "a").failed_at) == (None, None)


def test_completion_is_stamped_and_failure_is_not(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"))
    now = sql.value("select now()")
    assert (sql.task(run.run_id, "a").completed_at, sql.task(run.run_id, "a").failed_at) == (now, None)
    assert (sql.step(run.run_id, "a").completed_at, sql.step(run.run_id, "a").failed_at) == (now, None)
    assert (sql.step(run.run_id, "b").started_at, sql.run(run.run_id).completed_at) == (now, None)
    sql.complete(sql.claim_one("flow"))
    assert (sql.run(run.run_id).completed_at, sql.run(run.run_id).failed_at) == (now, None)
