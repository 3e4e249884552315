"""Conditions: an unmet one in mode ``skip-cascade`` skips the step with all that depends on it."""

from __future__ import annotations

from tests.fixtures.sql import Sql

NEVER = {"never": True}
CASCADE = {"required_input_pattern": NEVER, "when_unmet": "skip-cascade"}


def test_dependents_are_skipped_and_an_independent_step_runs(sql: Sql) -> None:
    sql.define("flow", "other")
    sql.add_step("flow", "a", **CASCADE)
    sql.add_step("flow", "b", ["a"])
    sql.add_step("flow", "c", ["b"])
    run = sql.start("flow", {})
    reasons = {slug: (step.status, step.skip_reason) for slug, step in sql.steps(run.run_id).items()}
    assert reasons == {
        "other": ("started", None),
        "a": ("skipped", "condition_unmet"),
        "b": ("skipped", "dependency_skipped"),
        "c": ("skipped", "dependency_skipped"),
    }
    assert (run.status, run.remaining_steps) == ("started", 1)
    sql.work("flow", other=1)
    assert (sql.run(run.run_id).status, sql.run(run.run_id).output) == ("completed", {"other": 1})


def test_a_matched_forbidden_pattern_does_the_same(sql: Sql) -> None:
    sql.define("flow", "other")
    sql.add_step("flow", "a", forbidden_input_pattern={"x": 1}, when_unmet="skip-cascade")
    sql.add_step("flow", "b", ["a"])
    run = sql.start("flow", {"x": 1})
    assert sql.step_statuses(run.run_id) == {"other": "started", "a": "skipped", "b": "skipped"}


def test_a_dependent_is_skipped_regardless_of_its_other_parents(sql: Sql) -> None:
    sql.define("flow", "slow")
    sql.add_step("flow", "a", **CASCADE)
    sql.add_step("flow", "join", ["slow", "a"])
    run = sql.start("flow", {})
    assert sql.step_statuses(run.run_id) == {"slow": "started", "a": "skipped", "join": "skipped"}
    # What it waited for stays as it was.
    assert sql.step(run.run_id, "join").remaining_deps == 2
    sql.work("flow")
    assert sql.run(run.run_id).status == "completed"


def test_a_map_behind_it_is_skipped_too(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "a", **CASCADE)
    sql.add_step("flow", "each", ["a"], step_type="map")
    run = sql.start("flow", {})
    step = sql.step(run.run_id, "each")
    assert (step.status, step.skip_reason, step.output) == ("skipped", "dependency_skipped", None)
    assert (run.status, run.remaining_steps, run.output) == ("completed", 0, None)


def test_conditions_of_the_dependents_do_not_matter(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "a", **CASCADE)
    sql.add_step("flow", "b", ["a"], required_input_pattern=NEVER, when_unmet="fail")
    run = sql.start("flow", {})
    assert run.status == "completed"
    assert sql.step(run.run_id, "b").skip_reason == "dependency_skipped"


def test_a_dependent_step_cascades_in_the_middle_of_a_run(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.add_step("flow", "b", ["a"], **CASCADE)
    sql.add_step("flow", "c", ["b"])
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), 1)
    assert sql.step_statuses(run.run_id) == {"a": "completed", "b": "skipped", "c": "skipped"}
    assert sql.run(run.run_id).status == "completed"


def test_a_plain_skip_can_lead_to_a_cascade(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "a", required_input_pattern=NEVER)
    sql.add_step("flow", "b", ["a"], **CASCADE)
    sql.add_step("flow", "c", ["b"])
    run = sql.start("flow", {})
    reasons = {slug: step.skip_reason for slug, step in sql.steps(run.run_id).items()}
    assert reasons == {"a": "condition_unmet", "b": "condition_unmet", "c": "dependency_skipped"}


def test_two_cascades_that_meet_skip_a_step_once(sql: Sql) -> None:
    sql.define("flow", "other")
    sql.add_step("flow", "a", **CASCADE)
    sql.add_step("flow", "b", **CASCADE)
    sql.add_step("flow", "join", ["a", "b"])
    run = sql.start("flow", {})
    assert (run.status, run.remaining_steps) == ("started", 1)
    reasons = {slug: step.skip_reason for slug, step in sql.steps(run.run_id).items()}
    assert reasons == {"other": None, "a": "condition_unmet", "b": "condition_unmet", "join": "dependency_skipped"}
