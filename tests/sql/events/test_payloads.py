"""Events: what each carries."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from tests.fixtures.platform import Realtime
from tests.fixtures.sql import SQL_NULL, Sql


def moment(text: str) -> datetime:
    """Read a time of an event, which has an offset."""
    at = datetime.fromisoformat(text)
    assert at.tzinfo is not None
    return at


def pick(payload: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: payload[key] for key in keys}


def test_every_event_goes_to_the_public_topic_of_its_run(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "each[] < a")
    run = sql.start("flow", {})
    sql.work("flow", a=[1])
    sent = realtime.sent()
    assert len(sent) == 6
    for row in sent:
        assert (row.topic, row.private) == (f"pgflow:run:{run.run_id}", False)
        assert row.payload["run_id"] == str(run.run_id)


def test_run_started(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {"x": [1]})
    payload = realtime.payload("run:started")
    assert pick(payload, "event_type", "status", "flow_slug", "input", "remaining_steps") == {
        "event_type": "run:started",
        "status": "started",
        "flow_slug": "flow",
        "input": {"x": [1]},
        "remaining_steps": 2,
    }
    assert moment(payload["started_at"]) == run.started_at


def test_step_started(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    payload = realtime.payload("step:a:started")
    assert pick(payload, "event_type", "status", "step_slug", "remaining_tasks", "remaining_deps") == {
        "event_type": "step:started",
        "status": "started",
        "step_slug": "a",
        "remaining_tasks": 1,
        "remaining_deps": 0,
    }
    assert moment(payload["started_at"]) == sql.step(run.run_id, "a").started_at


def test_step_started_counts_the_tasks_of_a_map(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "each[]")
    sql.start("flow", [1, 2, 3])
    assert realtime.payload("step:each:started")["remaining_tasks"] == 3


def test_step_completed(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), {"y": 1})
    payload = realtime.payload("step:a:completed")
    assert pick(payload, "event_type", "status", "step_slug", "output") == {
        "event_type": "step:completed",
        "status": "completed",
        "step_slug": "a",
        "output": {"y": 1},
    }
    assert moment(payload["completed_at"]) == sql.step(run.run_id, "a").completed_at


def test_step_completed_has_null_where_there_is_no_output(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a")
    sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), SQL_NULL)
    assert realtime.payload("step:a:completed")["output"] is None


def test_step_completed_of_a_map_comes_once_with_the_whole_array(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "each[]", "end < each")
    run = sql.start("flow", [1, 2, 3])
    first, second, third = sql.claim("flow")
    sql.complete(third, "c")
    sql.complete(first, "a")
    assert realtime.sent("step:each:completed") == []
    sql.complete(second, "b")
    payload = realtime.payload("step:each:completed")
    assert payload["output"] == ["a", "b", "c"] == sql.step(run.run_id, "each").output
    assert pick(payload, "status", "step_slug") == {"status": "completed", "step_slug": "each"}


def test_step_completed_without_tasks(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", [])
    payload = realtime.payload("step:each:completed")
    assert pick(payload, "event_type", "status", "step_slug", "remaining_tasks", "remaining_deps", "output") == {
        "event_type": "step:completed",
        "status": "completed",
        "step_slug": "each",
        "remaining_tasks": 0,
        "remaining_deps": 0,
        "output": [],
    }
    step = sql.step(run.run_id, "each")
    assert moment(payload["started_at"]) == moment(payload["completed_at"]) == step.completed_at


def test_step_failed(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"), "no luck")
    payload = realtime.payload("step:a:failed")
    assert pick(payload, "event_type", "status", "step_slug", "error_message") == {
        "event_type": "step:failed",
        "status": "failed",
        "step_slug": "a",
        "error_message": "no luck",
    }
    assert moment(payload["failed_at"]) == sql.step(run.run_id, "a").failed_at


def test_run_failed_by_a_task_has_its_error(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"), "no luck")
    payload = realtime.payload("run:failed")
    assert pick(payload, "event_type", "status", "flow_slug", "error_message") == {
        "event_type": "run:failed",
        "status": "failed",
        "flow_slug": "flow",
        "error_message": "no luck",
    }
    assert moment(payload["failed_at"]) == sql.run(run.run_id).failed_at


def test_run_failed_has_its_key_for_an_error_without_a_text(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", max_attempts=1)
    sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.rows(
        "select * from pgflow.fail_task(%(run_id)s, 'a', 0, null)",
        run_id=task.run_id,
    )
    assert realtime.payload("step:a:failed")["error_message"] is None
    assert realtime.payload("run:failed")["error_message"] is None


def test_a_type_violation_is_told_by_the_step_and_the_run_has_no_error(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "each[] < a")
    sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), {"not": "an array"})
    step, run = realtime.payload("step:a:failed"), realtime.payload("run:failed")
    assert step["status"] == "failed"
    assert step["error_message"] == (
        "[TYPE_VIOLATION] Map step each expects array input but dependency a produced object"
    )
    assert (run["status"], run["flow_slug"]) == ("failed", "flow")
    assert "error_message" not in run


def test_step_skipped_by_a_condition(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "other")
    sql.add_step("flow", "a", required_input_pattern={"never": True}, when_unmet="skip-cascade")
    sql.add_step("flow", "b", ["a"])
    run = sql.start("flow", {})
    for slug, reason in (("a", "condition_unmet"), ("b", "dependency_skipped")):
        payload = realtime.payload(f"step:{slug}:skipped")
        assert pick(payload, "event_type", "status", "flow_slug", "step_slug", "skip_reason") == {
            "event_type": "step:skipped",
            "status": "skipped",
            "flow_slug": "flow",
            "step_slug": slug,
            "skip_reason": reason,
        }
        assert moment(payload["skipped_at"]) == sql.step(run.run_id, slug).skipped_at
        assert "error_message" not in payload


def test_step_skipped_by_its_own_failure_has_the_error(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "a", when_exhausted="skip")
    sql.start("flow", {})
    sql.fail(sql.claim_one("flow"), "no luck")
    payload = realtime.payload("step:a:skipped")
    assert pick(payload, "event_type", "status", "step_slug", "skip_reason", "error_message") == {
        "event_type": "step:skipped",
        "status": "skipped",
        "step_slug": "a",
        "skip_reason": "handler_failed",
        "error_message": "no luck",
    }


def test_run_completed(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.work("flow", a=[1])
    payload = realtime.payload("run:completed")
    assert pick(payload, "event_type", "status", "flow_slug", "output") == {
        "event_type": "run:completed",
        "status": "completed",
        "flow_slug": "flow",
        "output": {"a": [1]},
    }
    assert moment(payload["completed_at"]) == sql.run(run.run_id).completed_at


def test_run_completed_has_null_where_no_leaf_completed(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow")
    sql.start("flow", {})
    assert realtime.payload("run:completed")["output"] is None


def test_events_equal_what_is_stored_then(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "each[]", "end < each")
    run_id: UUID = sql.start("flow", [1, 2]).run_id
    sql.work("flow", each=lambda element: {"n": element}, end="done")
    for slug in ("each", "end"):
        assert realtime.payload(f"step:{slug}:completed")["output"] == sql.step(run_id, slug).output
    assert realtime.payload("run:completed")["output"] == sql.run(run_id).output
