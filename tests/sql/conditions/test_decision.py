"""Conditions: when one is met, and on what it is tested."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.sql import SQL_NULL, Sql


def decide_root(sql: Sql, value: Any, **patterns: Any) -> str:
    """Return the status of a root step with patterns after a start with an input."""
    sql.define("flow", "other")
    sql.add_step("flow", "step", **patterns)
    run = sql.start("flow", value)
    return str(sql.step(run.run_id, "step").status)


def decide_dependent(sql: Sql, output: Any, **patterns: Any) -> str:
    """Return the status of a step with patterns after its only dependency gave an output."""
    sql.define("flow", "dep")
    sql.add_step("flow", "step", ["dep"], **patterns)
    run = sql.start("flow", {"of the run": True})
    sql.complete(sql.claim_one("flow"), output)
    return str(sql.step(run.run_id, "step").status)


@pytest.mark.parametrize("value", [{}, {"x": 1}, [], [1], "text", 5, False, None])
def test_a_step_without_a_condition_starts_for_any_input(sql: Sql, value: Any) -> None:
    assert decide_root(sql, value) == "started"


def test_when_unmet_is_irrelevant_without_a_pattern(sql: Sql) -> None:
    assert decide_root(sql, {}, when_unmet="fail") == "started"


@pytest.mark.parametrize(
    ("value", "pattern", "status"),
    [
        ({"x": 1, "y": 2}, {"x": 1}, "started"),
        ({"x": 2}, {"x": 1}, "skipped"),
        ({}, {"x": 1}, "skipped"),
        ({"x": {"y": 1, "z": 2}}, {"x": {"y": 1}}, "started"),
        ({"x": {"z": 2}}, {"x": {"y": 1}}, "skipped"),
        ({"x": [1, 2, 3]}, {"x": [3]}, "started"),
        ({"x": 1}, {}, "started"),
        ({}, {}, "started"),
        ("text", {}, "skipped"),
        (5, {}, "skipped"),
        (None, {}, "skipped"),
        ([{"x": 1}], {"x": 1}, "skipped"),
        ([], {}, "skipped"),
    ],
)
def test_a_required_pattern_must_be_contained(sql: Sql, value: Any, pattern: dict[str, Any], status: str) -> None:
    assert decide_root(sql, value, required_input_pattern=pattern) == status


@pytest.mark.parametrize(
    ("value", "pattern", "status"),
    [
        ({"x": 1, "y": 2}, {"x": 1}, "skipped"),
        ({"x": 2}, {"x": 1}, "started"),
        ({}, {"x": 1}, "started"),
        ({}, {}, "skipped"),
        ({"x": 1}, {}, "skipped"),
        ("text", {}, "started"),
        (None, {"x": 1}, "started"),
        ([{"x": 1}], {"x": 1}, "started"),
    ],
)
def test_a_forbidden_pattern_must_not_be_contained(sql: Sql, value: Any, pattern: dict[str, Any], status: str) -> None:
    assert decide_root(sql, value, forbidden_input_pattern=pattern) == status


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"role": "admin"}, "started"),
        ({"role": "admin", "blocked": False}, "started"),
        ({"role": "admin", "blocked": True}, "skipped"),
        ({"role": "guest"}, "skipped"),
        ({"role": "guest", "blocked": True}, "skipped"),
    ],
)
def test_both_patterns_must_hold(sql: Sql, value: Any, status: str) -> None:
    patterns = {"required_input_pattern": {"role": "admin"}, "forbidden_input_pattern": {"blocked": True}}
    assert decide_root(sql, value, **patterns) == status


@pytest.mark.parametrize(
    ("value", "started"), [({"mode": "fast"}, "fast"), ({"mode": "slow"}, "slow"), ({}, "slow"), (None, "slow")]
)
def test_of_two_opposite_branches_exactly_one_starts(sql: Sql, value: Any, started: str) -> None:
    sql.define("flow")
    sql.add_step("flow", "fast", required_input_pattern={"mode": "fast"})
    sql.add_step("flow", "slow", forbidden_input_pattern={"mode": "fast"})
    run = sql.start("flow", value)
    assert sql.step_statuses(run.run_id) == {"fast": "skipped", "slow": "skipped", started: "started"}


def test_a_met_condition_starts_the_step_without_a_reason_and_with_a_task(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "step", required_input_pattern={"x": 1})
    run = sql.start("flow", {"x": 1})
    step = sql.step(run.run_id, "step")
    assert (step.status, step.skip_reason, step.skipped_at) == ("started", None, None)
    assert sql.task_statuses(run.run_id, "step") == ["queued"]


@pytest.mark.parametrize(
    ("output", "pattern", "status"),
    [
        ({"ok": True}, {"dep": {"ok": True}}, "started"),
        ({"ok": False}, {"dep": {"ok": True}}, "skipped"),
        ({"ok": True}, {"ok": True}, "skipped"),
        # The input of the run is no part of what is tested.
        ({}, {"of the run": True}, "skipped"),
        ([1, 2], {"dep": [2]}, "started"),
        ("text", {"dep": {}}, "skipped"),
        (None, {"dep": None}, "started"),
        (SQL_NULL, {"dep": None}, "started"),
        (5, {}, "started"),
    ],
)
def test_a_dependent_step_is_tested_on_the_outputs_of_its_dependencies(
    sql: Sql, output: Any, pattern: dict[str, Any], status: str
) -> None:
    assert decide_dependent(sql, output, required_input_pattern=pattern) == status


def test_an_unmet_forbidden_pattern_starts_a_dependent_step_normally(sql: Sql) -> None:
    assert decide_dependent(sql, {"ok": True}, forbidden_input_pattern={"dep": {"ok": False}}) == "started"


def test_only_direct_dependencies_are_tested(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    sql.add_step("flow", "step", ["b"], required_input_pattern={"a": 1})
    run = sql.start("flow", {})
    sql.work("flow", a=1, b=2)
    assert sql.step(run.run_id, "step").status == "skipped"


def test_a_skipped_dependency_is_absent_from_what_is_tested(sql: Sql) -> None:
    sql.define("flow", "done")
    sql.add_step("flow", "skipped", required_input_pattern={"x": 1})
    sql.add_step("flow", "with", ["done", "skipped"], required_input_pattern={"done": {}, "skipped": {}})
    sql.add_step("flow", "without", ["done", "skipped"], forbidden_input_pattern={"skipped": {}})
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), {})
    assert sql.step(run.run_id, "with").status == "skipped"
    assert sql.step(run.run_id, "without").status == "started"


def test_with_all_dependencies_skipped_an_empty_object_is_tested(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "skipped", required_input_pattern={"x": 1})
    sql.add_step("flow", "empty", ["skipped"], required_input_pattern={})
    sql.add_step("flow", "not_empty", ["skipped"], forbidden_input_pattern={})
    run = sql.start("flow", {})
    assert sql.step_statuses(run.run_id) == {"skipped": "skipped", "empty": "started", "not_empty": "skipped"}


def test_the_array_of_a_map_is_tested_under_its_slug(sql: Sql) -> None:
    sql.define("flow", "each[]")
    sql.add_step("flow", "yes", ["each"], required_input_pattern={"each": [2]})
    sql.add_step("flow", "no", ["each"], required_input_pattern={"each": [3]})
    run = sql.start("flow", [1, 2])
    sql.work("flow", each=lambda element: element)
    assert sql.step_statuses(run.run_id) == {"each": "completed", "yes": "completed", "no": "skipped"}


@pytest.mark.parametrize(
    ("patterns", "status"),
    [
        ({"required_input_pattern": {}}, "skipped"),
        ({"required_input_pattern": {"x": 1}}, "skipped"),
        ({"forbidden_input_pattern": {}}, "started"),
        ({"forbidden_input_pattern": {"x": 1}}, "started"),
    ],
)
def test_a_root_map_is_tested_on_the_whole_array_which_contains_no_object(
    sql: Sql, patterns: dict[str, Any], status: str
) -> None:
    sql.define("flow")
    sql.add_step("flow", "each", step_type="map", **patterns)
    run = sql.start("flow", [{"x": 1}])
    assert sql.step(run.run_id, "each").status == status


def test_a_dependent_map_is_tested_on_the_output_of_its_parent(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.add_step("flow", "yes", ["a"], step_type="map", required_input_pattern={"a": [1]})
    sql.add_step("flow", "no", ["a"], step_type="map", required_input_pattern={"a": [9]})
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), [1, 2])
    assert sql.step_statuses(run.run_id) == {"a": "completed", "yes": "started", "no": "skipped"}
    assert len(sql.tasks(run.run_id, "yes")) == 2


def test_a_change_of_a_pattern_counts_for_runs_that_have_begun(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.add_step("flow", "b", ["a"], required_input_pattern={"a": 1})
    run = sql.start("flow", {})
    sql.rows("update pgflow.steps set required_input_pattern = '{\"a\": 2}' where step_slug = 'b'")
    sql.complete(sql.claim_one("flow"), 2)
    assert sql.step(run.run_id, "b").status == "started"
