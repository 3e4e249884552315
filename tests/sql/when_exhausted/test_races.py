"""``when_exhausted``: reports that race with the skip of their step."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.sql import DEADLINE, Sessions, Sql


@pytest.fixture
def racing(sessions: Sessions) -> tuple[Sql, Sql, Any, Any]:
    """Have two sessions and the two tasks of a map that gives up at its first failure, with a step behind it."""
    first, second = sessions.open(), sessions.open()
    first.define("flow", max_attempts=1)
    first.add_step("flow", "each", step_type="map", when_exhausted="skip")
    first.add_step("flow", "end", ["each"])
    first.start("flow", [1, 2])
    left, right = first.claim("flow")
    return first, second, left, right


@pytest.mark.parametrize("late", ["complete", "fail"])
def test_a_report_that_waited_for_the_skip_does_not_count(
    sessions: Sessions, racing: tuple[Sql, Sql, Any, Any], late: str
) -> None:
    first, second, left, right = racing
    with first.transaction():
        first.fail(left)
        waiting = sessions.begin(getattr(second, late), right)
        assert sessions.wait_until_blocked(second, waiting)
    assert waiting.result(timeout=DEADLINE).status == "skipped"
    assert first.run(left.run_id).remaining_steps == 1
    assert first.step_statuses(left.run_id) == {"each": "skipped", "end": "started"}
    assert len(first.tasks(left.run_id, "end")) == 1
    assert first.message_counts("flow") == (1, 2)


def test_a_failure_that_waited_for_a_completion_skips_the_step_after_it(
    sessions: Sessions, racing: tuple[Sql, Sql, Any, Any]
) -> None:
    first, second, left, right = racing
    with first.transaction():
        first.complete(left, "kept")
        waiting = sessions.begin(second.fail, right)
        assert sessions.wait_until_blocked(second, waiting)
    assert waiting.result(timeout=DEADLINE).status == "failed"
    assert first.task_statuses(left.run_id, "each") == ["completed", "failed"]
    assert first.step(left.run_id, "each").status == "skipped"


def test_a_skip_that_is_rolled_back_leaves_the_other_report_its_turn(
    sessions: Sessions, racing: tuple[Sql, Sql, Any, Any]
) -> None:
    first, second, left, right = racing
    with first.transaction() as transaction:
        first.fail(left)
        waiting = sessions.begin(second.complete, right, "done")
        assert sessions.wait_until_blocked(second, waiting)
        transaction.force_rollback = True
    assert waiting.result(timeout=DEADLINE).status == "completed"
    assert first.task_statuses(left.run_id, "each") == ["started", "completed"]
