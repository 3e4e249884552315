"""``when_exhausted`` = ``skip``: the step is skipped, as if it had contributed nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.fixtures.platform import Realtime
from tests.fixtures.sql import Sql

NEVER = {"never": True}


@pytest.fixture
def flow(sql: Sql) -> Sql:
    """Define a flow whose first step gives up after one attempt, and is skipped then."""
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "a", when_exhausted="skip")
    return sql


def start_and_fail(sql: Sql) -> UUID:
    run_id: UUID = sql.start("flow", {}).run_id
    fail_a(sql)
    return run_id


def fail_a(sql: Sql) -> Any:
    """Fail the first visible task; return its row."""
    (task,) = sql.claim("flow", 1)
    assert task.step_slug == "a"
    return sql.fail(task, "no luck")


def test_the_task_fails_and_the_step_is_skipped_with_reason_and_error(flow: Sql) -> None:
    flow.add_step("flow", "b", ["a"])
    run_id = start_and_fail(flow)
    task = flow.task(run_id, "a")
    assert (task.status, task.error_message) == ("failed", "no luck")
    step = flow.step(run_id, "a")
    assert (step.status, step.skip_reason, step.error_message) == ("skipped", "handler_failed", "no luck")
    assert (step.skipped_at is not None, step.failed_at, step.remaining_tasks) == (True, None, None)


def test_fail_task_returns_the_failed_task(flow: Sql) -> None:
    flow.add_step("flow", "b", ["a"])
    flow.start("flow", {})
    row = fail_a(flow)
    assert (row.step_slug, row.task_index, row.status) == ("a", 0, "failed")


def test_skipping_the_only_step_completes_the_run(flow: Sql) -> None:
    run_id = start_and_fail(flow)
    run = flow.run(run_id)
    assert (run.status, run.remaining_steps, run.output, run.failed_at) == ("completed", 0, None, None)
    assert flow.message_counts("flow") == (0, 1)


def test_skipping_the_top_of_a_diamond_starts_both_children(flow: Sql) -> None:
    flow.add_step("flow", "left", ["a"])
    flow.add_step("flow", "right", ["a"])
    flow.add_step("flow", "bottom", ["left", "right"])
    run_id = start_and_fail(flow)
    assert flow.step_statuses(run_id) == {
        "a": "skipped",
        "left": "started",
        "right": "started",
        "bottom": "created",
    }
    assert flow.run(run_id).remaining_steps == 3
    flow.work("flow", bottom=1)
    assert (flow.run(run_id).status, flow.run(run_id).output) == ("completed", {"bottom": 1})


def test_its_key_is_absent_from_the_input_of_its_dependents(flow: Sql) -> None:
    flow.add_step("flow", "b", ["a"])
    start_and_fail(flow)
    assert flow.claim_one("flow").input == {"run": {}}


def test_a_map_behind_it_gets_no_tasks_and_completes_with_an_empty_array(flow: Sql) -> None:
    flow.add_step("flow", "each", ["a"], step_type="map")
    run_id = start_and_fail(flow)
    step = flow.step(run_id, "each")
    assert (step.status, step.initial_tasks, step.output) == ("completed", 0, [])
    assert (flow.run(run_id).status, flow.run(run_id).output) == ("completed", {"each": []})


def test_a_map_released_without_tasks_starts_its_own_dependent(flow: Sql) -> None:
    flow.add_step("flow", "each", ["a"], step_type="map")
    flow.add_step("flow", "end", ["each"])
    run_id = start_and_fail(flow)
    assert flow.step_statuses(run_id) == {"a": "skipped", "each": "completed", "end": "started"}
    assert flow.run(run_id).status == "started"
    assert flow.claim_one("flow").input == {"run": {}, "each": []}


def test_a_child_whose_condition_becomes_unmet_fails_the_run(flow: Sql) -> None:
    flow.add_step("flow", "b", ["a"], required_input_pattern={"a": {}}, when_unmet="fail")
    flow.start("flow", {})
    row = fail_a(flow)
    assert (row.step_slug, row.status) == ("a", "failed")
    assert flow.step_statuses(row.run_id) == {"a": "skipped", "b": "failed"}
    assert flow.run(row.run_id).status == "failed"


def test_that_child_is_failed_with_an_error_and_no_task(flow: Sql) -> None:
    flow.add_step("flow", "b", ["a"], required_input_pattern={"a": {}}, when_unmet="fail")
    run_id = start_and_fail(flow)
    assert flow.step(run_id, "b").error_message == "Condition not met"
    assert flow.tasks(run_id, "b") == []


def test_the_message_of_the_parent_is_then_archived_too(flow: Sql) -> None:
    flow.add_step("flow", "b", ["a"], required_input_pattern={"a": {}}, when_unmet="fail")
    start_and_fail(flow)
    assert flow.message_counts("flow") == (0, 1)


def test_a_child_whose_condition_becomes_unmet_is_skipped_in_its_own_mode(flow: Sql) -> None:
    flow.add_step("flow", "b", ["a"], required_input_pattern={"a": {}})
    flow.add_step("flow", "c", ["b"])
    run_id = start_and_fail(flow)
    assert flow.step_statuses(run_id) == {"a": "skipped", "b": "skipped", "c": "started"}
    assert flow.step(run_id, "b").skip_reason == "condition_unmet"


def test_a_join_waits_for_its_other_parent(flow: Sql) -> None:
    flow.add_step("flow", "other")
    flow.add_step("flow", "join", ["a", "other"])
    run_id = start_and_fail(flow)
    step = flow.step(run_id, "join")
    assert (step.status, step.remaining_deps) == ("created", 1)


def test_a_map_is_skipped_with_its_first_exhausted_task(sql: Sql) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "each", step_type="map", when_exhausted="skip")
    sql.add_step("flow", "end", ["each"])
    run = sql.start("flow", [1, 2, 3])
    done, lost, running = sql.claim("flow")
    sql.complete(done, "kept")
    sql.fail(lost)
    assert sql.step_statuses(run.run_id) == {"each": "skipped", "end": "started"}
    # Siblings are closed, finished ones are kept but not aggregated.
    assert sql.task_statuses(run.run_id, "each") == ["completed", "failed", "skipped"]
    assert (sql.task(run.run_id, "each", 0).output, sql.step(run.run_id, "each").output) == ("kept", None)
    assert [message.message["step_slug"] for message in sql.queued_messages("flow")] == ["end"]
    assert sql.complete(running, "late").status == "skipped"


def test_queued_siblings_cannot_be_claimed_any_more(sql: Sql) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "each", step_type="map", when_exhausted="skip")
    sql.start("flow", [1, 2, 3])
    message_ids = sql.read("flow")
    (first,) = sql.start_tasks("flow", message_ids[:1], sql.worker_id)
    sql.fail(first)
    assert sql.start_tasks("flow", message_ids, sql.worker_id) == []


def test_a_late_failure_of_a_sibling_does_not_count_the_step_again(sql: Sql) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "each", step_type="map", when_exhausted="skip")
    sql.add_step("flow", "end", ["each"])
    run = sql.start("flow", [1, 2])
    first, second = sql.claim("flow")
    sql.fail(first)
    before = sql.run(run.run_id), sql.steps(run.run_id)
    sql.fail(second)
    assert (sql.run(run.run_id), sql.steps(run.run_id)) == before
    assert sql.run(run.run_id).remaining_steps == 1


def test_the_same_failure_again_changes_nothing_and_sends_nothing(flow: Sql, realtime: Realtime) -> None:
    flow.add_step("flow", "other")
    flow.add_step("flow", "join", ["a", "other"])
    run = flow.start("flow", {})
    (task,) = flow.claim("flow", 1)
    flow.fail(task)
    before = flow.run(run.run_id), flow.steps(run.run_id), flow.tasks(run.run_id, "join"), realtime.names()
    flow.fail(task)
    after = flow.run(run.run_id), flow.steps(run.run_id), flow.tasks(run.run_id, "join"), realtime.names()
    assert after == before
    assert flow.step(run.run_id, "join").remaining_deps == 1


def test_a_late_completion_does_not_turn_it(sql: Sql) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "a", when_exhausted="skip")
    sql.add_step("flow", "other")
    run = sql.start("flow", {})
    (task,) = sql.claim("flow", 1)
    sql.fail(task)
    assert sql.complete(task, "late").status == "failed"
    assert (sql.step(run.run_id, "a").status, sql.run(run.run_id).remaining_steps) == ("skipped", 1)


def test_a_task_that_stalled_for_good_ends_its_step_the_same_way(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "a", when_exhausted="skip")
    sql.add_step("flow", "b", ["a"])
    run = sql.start("flow", {})
    for _ in range(4):
        sql.age(sql.claim_one("flow"), 1000)
        sql.requeue_stalled_tasks()
    step = sql.step(run.run_id, "a")
    assert (step.status, step.skip_reason) == ("skipped", "handler_failed")
    assert sql.step(run.run_id, "b").status == "started"
