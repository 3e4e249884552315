"""``when_exhausted``: by default the step and the run fail."""

from __future__ import annotations

from tests.fixtures.sql import Sql


def test_task_step_and_run_fail(sql: Sql) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "a", when_exhausted="fail")
    sql.add_step("flow", "b", ["a"])
    run = sql.start("flow", {})
    assert sql.fail(sql.claim_one("flow")).status == "failed"
    assert sql.step_statuses(run.run_id) == {"a": "failed", "b": "created"}
    assert sql.run(run.run_id).status == "failed"


def test_the_mode_does_not_matter_while_attempts_are_left(sql: Sql) -> None:
    sql.define("flow", max_attempts=2, base_delay=0)
    sql.add_step("flow", "a", when_exhausted="skip-cascade")
    sql.add_step("flow", "b", ["a"])
    run = sql.start("flow", {})
    assert sql.fail(sql.claim_one("flow")).status == "queued"
    assert sql.step_statuses(run.run_id) == {"a": "started", "b": "created"}
    assert sql.fail(sql.claim_one("flow")).status == "failed"
    assert sql.step_statuses(run.run_id) == {"a": "skipped", "b": "skipped"}


def test_a_type_violation_fails_the_run_whatever_the_mode(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "a", when_exhausted="skip")
    sql.add_step("flow", "each", ["a"], step_type="map")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), 5)
    assert (sql.run(run.run_id).status, sql.step(run.run_id, "a").status) == ("failed", "failed")


def test_a_type_violation_goes_before_the_condition_of_the_map(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.add_step("flow", "each", ["a"], step_type="map", required_input_pattern={"a": [1]})
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), 5)
    assert (sql.run(run.run_id).status, sql.step(run.run_id, "each").status) == ("failed", "created")
