"""Conditions: an unmet one in mode ``fail`` fails the run."""

from __future__ import annotations

from tests.fixtures.platform import Realtime
from tests.fixtures.sql import Sql

NEVER = {"never": True}


def test_a_root_step_fails_and_its_run_with_it(sql: Sql) -> None:
    sql.define("flow", "other")
    sql.add_step("flow", "step", required_input_pattern=NEVER, when_unmet="fail")
    run = sql.start("flow", {})
    assert (run.status, run.completed_at) == ("failed", None)
    assert run.failed_at is not None
    step = sql.step(run.run_id, "step")
    assert (step.status, step.error_message, step.skip_reason) == ("failed", "Condition not met", None)
    assert (step.failed_at, step.started_at) == (sql.value("select now()"), None)


def test_nothing_of_the_run_is_started(sql: Sql) -> None:
    sql.define("flow", "other", "each[] < other")
    sql.add_step("flow", "step", required_input_pattern=NEVER, when_unmet="fail")
    run = sql.start("flow", {})
    assert sql.step(run.run_id, "other").status == "created"
    assert sql.message_counts("flow") == (0, 0)
    assert sql.tasks(run.run_id, "step") == []


def test_a_matched_forbidden_pattern_fails_step_and_run_without_a_task(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "step", forbidden_input_pattern={"x": 1}, when_unmet="fail")
    run = sql.start("flow", {"x": 1})
    assert (run.status, sql.step(run.run_id, "step").status) == ("failed", "failed")
    assert sql.tasks(run.run_id, "step") == []


def test_a_dependent_step_fails_the_run_and_all_messages_are_archived(sql: Sql) -> None:
    sql.define("flow", "a", "parallel", "running")
    sql.add_step("flow", "b", ["a"], required_input_pattern=NEVER, when_unmet="fail")
    run = sql.start("flow", {})
    a, _, running = sql.claim("flow")
    assert running.step_slug == "running"
    row = sql.complete(a, 1)
    # The task that led there is completed, the run is not.
    assert (row.status, row.output) == ("completed", 1)
    assert sql.run(run.run_id).status == "failed"
    assert sql.step(run.run_id, "b").error_message == "Condition not met"
    assert sql.message_counts("flow") == (0, 3)


def test_no_live_task_and_no_started_step_is_left(sql: Sql) -> None:
    sql.define("flow", "a", "parallel", "running")
    sql.add_step("flow", "b", ["a"], required_input_pattern=NEVER, when_unmet="fail")
    run = sql.start("flow", {})
    sql.complete(sql.start_tasks("flow", sql.read("flow")[:1], sql.worker_id)[0])
    assert sql.step_statuses(run.run_id) == {
        "a": "completed",
        "b": "failed",
        "parallel": "skipped",
        "running": "skipped",
    }
    assert sql.step(run.run_id, "parallel").skip_reason == "run_failed"
    assert sql.task_statuses(run.run_id, "parallel") == ["cancelled"]


def test_of_several_the_first_in_the_flow_fails(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "z", required_input_pattern=NEVER, when_unmet="fail")
    sql.add_step("flow", "a", required_input_pattern=NEVER, when_unmet="fail")
    run = sql.start("flow", {})
    assert sql.step_statuses(run.run_id) == {"z": "failed", "a": "created"}


def test_failing_goes_before_skipping(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "plain", required_input_pattern=NEVER)
    sql.add_step("flow", "cascade", required_input_pattern=NEVER, when_unmet="skip-cascade")
    sql.add_step("flow", "last", required_input_pattern=NEVER, when_unmet="fail")
    run = sql.start("flow", {})
    assert sql.step_statuses(run.run_id) == {"plain": "created", "cascade": "created", "last": "failed"}


def test_a_skip_can_make_a_condition_unmet_that_fails_the_run(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "a", required_input_pattern=NEVER)
    sql.add_step("flow", "b", ["a"], required_input_pattern={"a": {}}, when_unmet="fail")
    run = sql.start("flow", {})
    assert (run.status, sql.step_statuses(run.run_id)) == ("failed", {"a": "skipped", "b": "failed"})


def test_exactly_one_event_tells_of_the_step_and_one_of_the_run(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "other")
    sql.add_step("flow", "step", required_input_pattern=NEVER, when_unmet="fail")
    sql.start("flow", {})
    assert realtime.names() == ["run:started", "step:step:failed", "run:failed"]
    for event in ("step:step:failed", "run:failed"):
        payload = realtime.payload(event)
        assert (payload["status"], payload["error_message"]) == ("failed", "Condition not met")
