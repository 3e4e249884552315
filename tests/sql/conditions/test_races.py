"""Conditions: parents that end at once."""

from __future__ import annotations

from tests.fixtures.sql import DEADLINE, Sessions


def test_the_parent_that_ends_last_sees_the_output_of_the_other(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("flow", "a", "b")
    first.add_step("flow", "join", ["a", "b"], required_input_pattern={"a": 1, "b": 2})
    run = first.start("flow", {})
    a, b = first.claim("flow")
    with first.transaction():
        first.complete(a, 1)
        waiting = sessions.begin(second.complete, b, 2)
        assert sessions.wait_until_blocked(second, waiting)
    waiting.result(timeout=DEADLINE)
    assert first.step(run.run_id, "join").status == "started"


def test_a_completion_that_waited_for_a_failing_condition_does_not_count(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("flow", "a", "b")
    first.add_step("flow", "after", ["a"], required_input_pattern={"a": 1}, when_unmet="fail")
    run = first.start("flow", {})
    a, b = first.claim("flow")
    with first.transaction():
        first.complete(a, 9)
        waiting = sessions.begin(second.complete, b, 2)
        assert sessions.wait_until_blocked(second, waiting)
    assert waiting.result(timeout=DEADLINE).status == "cancelled"
    assert first.step_statuses(run.run_id) == {"a": "completed", "b": "skipped", "after": "failed"}
    assert first.run(run.run_id).status == "failed"
    assert first.message_counts("flow") == (0, 2)
