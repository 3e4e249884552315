"""``start_ready_steps``: tasks and messages for the steps that are ready."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.sql import Sql


def start_ready_steps(sql: Sql, run: Any) -> None:
    """Call the function."""
    sql.call("pgflow.start_ready_steps", run_id=run.run_id)


def test_a_map_of_three_sends_three_messages_in_order(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", ["a", "b", "c"])
    assert [message.message for message in sql.queued_messages("flow")] == [
        {"flow_slug": "flow", "run_id": str(run.run_id), "step_slug": "each", "task_index": index} for index in range(3)
    ]
    assert {message.headers for message in sql.queued_messages("flow")} == {None}


def test_each_task_knows_its_message(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", ["a", "b", "c"])
    tasks = sql.tasks(run.run_id, "each")
    assert [task.task_index for task in tasks] == [0, 1, 2]
    assert [task.message_id for task in tasks] == [message.msg_id for message in sql.queued_messages("flow")]


def test_tasks_begin_queued_and_without_attempts(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", ["a", "b"])
    for task in sql.tasks(run.run_id, "each"):
        assert (task.status, task.attempts_count, task.started_at) == ("queued", 0, None)
        assert (task.last_worker_id, task.error_message, task.output) == (None, None, None)


def test_a_started_step_counts_its_tasks(sql: Sql) -> None:
    sql.define("flow", "each[]", "single")
    run = sql.start("flow", [1, 2, 3, 4])
    assert sql.step(run.run_id, "each").remaining_tasks == 4
    assert sql.step(run.run_id, "single").remaining_tasks == 1
    assert [task.task_index for task in sql.tasks(run.run_id, "single")] == [0]


def test_steps_that_start_together_are_queued_by_slug(sql: Sql) -> None:
    sql.define("flow", "c", "a", "b")
    sql.start("flow", {})
    assert [message.message["step_slug"] for message in sql.queued_messages("flow")] == ["a", "b", "c"]


def test_each_run_has_messages_of_its_own(sql: Sql) -> None:
    sql.define("flow", "a")
    runs = [sql.start("flow", {}), sql.start("flow", {})]
    assert [message.message["run_id"] for message in sql.queued_messages("flow")] == [str(run.run_id) for run in runs]


def test_calling_again_changes_nothing(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    before = sql.steps(run.run_id)
    start_ready_steps(sql, run)
    assert sql.steps(run.run_id) == before
    assert len(sql.queued_messages("flow")) == 1


def test_a_ready_step_is_started(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    sql.rows("update pgflow.step_states set remaining_deps = 0 where step_slug = 'b'")
    start_ready_steps(sql, run)
    assert sql.step(run.run_id, "b").status == "started"
    assert sql.task_statuses(run.run_id, "b") == ["queued"]


@pytest.mark.parametrize("initial_tasks", [None, 0])
def test_a_ready_step_without_known_tasks_is_left_alone(sql: Sql, initial_tasks: int | None) -> None:
    sql.define("flow", "a", "b[] < a")
    run = sql.start("flow", {})
    sql.rows(
        "update pgflow.step_states set remaining_deps = 0, initial_tasks = %(n)s where step_slug = 'b'",
        n=initial_tasks,
    )
    start_ready_steps(sql, run)
    assert sql.step(run.run_id, "b").status == "created"


@pytest.mark.parametrize("status", ["failed", "completed"])
def test_nothing_starts_in_a_run_that_has_ended(sql: Sql, status: str) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    sql.rows("update pgflow.step_states set remaining_deps = 0 where step_slug = 'b'")
    sql.rows("update pgflow.runs set status = %(status)s where run_id = %(id)s", status=status, id=run.run_id)
    start_ready_steps(sql, run)
    assert sql.step(run.run_id, "b").status == "created"


def test_an_unknown_run_is_passed_over(sql: Sql) -> None:
    sql.rows("select pgflow.start_ready_steps(gen_random_uuid())")


def test_a_map_of_ten_thousand_is_created_within_seconds(sql: Sql) -> None:
    sql.define("flow", "each[]")
    sql.rows("set local statement_timeout = '10s'")
    run = sql.start("flow", list(range(10_000)))
    assert sql.value("select count(*) from pgflow.step_tasks where run_id = %(id)s", id=run.run_id) == 10_000
    first, last = sql.row("select min(msg_id), max(msg_id) from pgmq.q_flow")
    assert last - first == 9_999
