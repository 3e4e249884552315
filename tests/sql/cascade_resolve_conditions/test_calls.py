"""``cascade_resolve_conditions``, called by itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.fixtures.sql import Sql


def resolve(sql: Sql, run_id: UUID) -> Any:
    return sql.value("select pgflow.cascade_resolve_conditions(run_id => %(run_id)s)", run_id=run_id)


def waiting(sql: Sql, when_unmet: str) -> UUID:
    """Have a run with a started step and a ready one whose condition is unmet, not yet decided."""
    sql.define("flow", "a")
    sql.add_step("flow", "b", ["a"], required_input_pattern={"never": True}, when_unmet=when_unmet)
    sql.add_step("flow", "c", ["b"])
    run_id: UUID = sql.start("flow", {}).run_id
    sql.rows("update pgflow.step_states set remaining_deps = 0 where step_slug = 'b'")
    return run_id


def test_with_nothing_to_decide_it_is_true(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    before = sql.steps(run.run_id)
    assert resolve(sql, run.run_id) is True
    assert sql.steps(run.run_id) == before


def test_a_skip_is_true_and_counts_the_step_as_done(sql: Sql) -> None:
    run_id = waiting(sql, "skip")
    assert resolve(sql, run_id) is True
    assert sql.step(run_id, "b").skip_reason == "condition_unmet"
    # It decides only: nothing is started.
    step = sql.step(run_id, "c")
    assert (step.status, step.remaining_deps) == ("created", 0)
    assert sql.run(run_id).remaining_steps == 2


def test_a_cascade_is_true(sql: Sql) -> None:
    run_id = waiting(sql, "skip-cascade")
    assert resolve(sql, run_id) is True
    assert sql.step_statuses(run_id) == {"a": "started", "b": "skipped", "c": "skipped"}


def test_a_failure_is_false(sql: Sql) -> None:
    run_id = waiting(sql, "fail")
    assert resolve(sql, run_id) is False
    assert (sql.run(run_id).status, sql.step(run_id, "b").error_message) == ("failed", "Condition not met")
    assert sql.message_counts("flow") == (0, 1)


@pytest.mark.parametrize(("ending", "answer"), [("completed", True), ("failed", False)])
def test_a_run_that_has_ended_is_left_alone(sql: Sql, ending: str, answer: bool) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    if ending == "completed":
        sql.complete(task)
    else:
        sql.fail(task)
    sql.rows(
        "update pgflow.steps set required_input_pattern = '{\"never\": true}', when_unmet = 'fail' "
        "where flow_slug = 'flow'"
    )
    before = sql.run(run.run_id), sql.steps(run.run_id)
    assert resolve(sql, run.run_id) is answer
    assert (sql.run(run.run_id), sql.steps(run.run_id)) == before
