"""Conditions: a step whose condition is unmet is skipped, and what that means for the steps behind it."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sql

NEVER = {"never": True}


def test_the_step_is_skipped_with_its_reason_and_without_a_task(sql: Sql) -> None:
    sql.define("flow", "other")
    sql.add_step("flow", "step", required_input_pattern=NEVER)
    run = sql.start("flow", {})
    step = sql.step(run.run_id, "step")
    assert (step.status, step.skip_reason, step.error_message) == ("skipped", "condition_unmet", None)
    assert (step.skipped_at, step.started_at) == (sql.value("select now()"), None)
    assert (step.remaining_tasks, step.output) == (None, None)
    assert sql.tasks(run.run_id, "step") == []
    assert (run.status, run.remaining_steps) == ("started", 1)


def test_a_dependent_step_is_skipped_without_a_task_and_if_it_was_the_last_the_run_completes(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.add_step("flow", "b", ["a"], required_input_pattern=NEVER)
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), {})
    assert (sql.step(run.run_id, "b").skip_reason, sql.tasks(run.run_id, "b")) == ("condition_unmet", [])
    ended = sql.run(run.run_id)
    # A skipped leaf has no key, and no other leaf is there.
    assert (ended.status, ended.remaining_steps, ended.output) == ("completed", 0, None)


def test_a_run_whose_only_step_is_skipped_completes_at_once(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "step", required_input_pattern=NEVER)
    run = sql.start("flow", {})
    assert (run.status, run.remaining_steps, run.output) == ("completed", 0, None)
    assert run.completed_at is not None


def test_a_skipped_leaf_has_no_key_in_the_output_of_the_run(sql: Sql) -> None:
    sql.define("flow", "done")
    sql.add_step("flow", "skipped", required_input_pattern=NEVER)
    run = sql.start("flow", {})
    sql.work("flow", done=1)
    assert sql.run(run.run_id).output == {"done": 1}


def test_a_skipped_dependency_has_no_key_in_the_input(sql: Sql) -> None:
    sql.define("flow", "done")
    sql.add_step("flow", "skipped", required_input_pattern=NEVER)
    sql.add_step("flow", "join", ["done", "skipped"])
    sql.start("flow", {"x": 1})
    sql.complete(sql.claim_one("flow"), 5)
    assert sql.claim_one("flow").input == {"run": {"x": 1}, "done": 5}


def test_with_all_dependencies_skipped_the_input_has_none_of_them(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "skipped", required_input_pattern=NEVER)
    sql.add_step("flow", "after", ["skipped"])
    sql.start("flow", {"x": 1})
    sql.rows("select set_config('pgflow.task_input', 'deps', true)")
    assert sql.claim_one("flow").input == {}


def test_a_join_of_two_skipped_parents_waits_for_nothing_and_starts_with_one_task(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "a", required_input_pattern=NEVER)
    sql.add_step("flow", "b", required_input_pattern=NEVER)
    sql.add_step("flow", "join", ["a", "b"])
    run = sql.start("flow", {})
    step = sql.step(run.run_id, "join")
    assert (step.status, step.remaining_deps) == ("started", 0)
    assert len(sql.tasks(run.run_id, "join")) == 1


def test_a_join_waits_for_the_parent_that_was_not_skipped(sql: Sql) -> None:
    sql.define("flow", "slow")
    sql.add_step("flow", "skipped", required_input_pattern=NEVER)
    sql.add_step("flow", "join", ["slow", "skipped"])
    run = sql.start("flow", {})
    step = sql.step(run.run_id, "join")
    assert (step.status, step.remaining_deps) == ("created", 1)


def test_skips_are_followed_until_stable(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "a", required_input_pattern=NEVER)
    sql.add_step("flow", "b", ["a"], required_input_pattern={"a": {}})
    sql.add_step("flow", "c", ["b"])
    run = sql.start("flow", {})
    assert sql.step_statuses(run.run_id) == {"a": "skipped", "b": "skipped", "c": "started"}
    assert [sql.step(run.run_id, slug).remaining_deps for slug in "abc"] == [0, 0, 0]
    assert sql.run(run.run_id).remaining_steps == 1


def test_a_map_behind_a_skipped_step_completes_with_an_empty_array(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "skipped", required_input_pattern=NEVER)
    sql.add_step("flow", "each", ["skipped"], step_type="map")
    run = sql.start("flow", {})
    step = sql.step(run.run_id, "each")
    assert (step.status, step.initial_tasks, step.output) == ("completed", 0, [])
    assert (run.status, run.output) == ("completed", {"each": []})


def test_a_skipped_map_gives_its_dependents_no_key(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.add_step("flow", "each", ["a"], step_type="map", required_input_pattern={"a": [9]})
    sql.add_step("flow", "end", ["each"])
    sql.start("flow", 1)
    sql.complete(sql.claim_one("flow"), [1])
    assert sql.claim_one("flow").input == {"run": 1}


def test_a_skipped_map_gives_the_map_behind_it_no_elements(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.add_step("flow", "each", ["a"], step_type="map", required_input_pattern={"a": [9]})
    sql.add_step("flow", "again", ["each"], step_type="map")
    run = sql.start("flow", 1)
    sql.complete(sql.claim_one("flow"), [1])
    assert sql.run(run.run_id).output == {"again": []}


def test_a_met_step_starts_in_the_same_call_that_skips_another(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.add_step("flow", "no", ["a"], required_input_pattern={"a": 1})
    sql.add_step("flow", "yes", ["a"], forbidden_input_pattern={"a": 1})
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), 2)
    assert sql.step_statuses(run.run_id) == {"a": "completed", "no": "skipped", "yes": "started"}
    assert sql.run(run.run_id).remaining_steps == 1


@pytest.mark.parametrize("length", [49, 50, 51, 120])
def test_a_chain_of_skips_may_be_of_any_length(sql: Sql, length: int) -> None:
    sql.define("flow")
    for n in range(length):
        sql.add_step("flow", f"s{n}", [f"s{n - 1}"] if n else [], required_input_pattern=NEVER)
    run = sql.start("flow", {})
    assert (run.status, run.remaining_steps) == ("completed", 0)
    assert {step.skip_reason for step in sql.steps(run.run_id).values()} == {"condition_unmet"}


def test_a_chain_of_skips_and_empty_maps_in_turn_may_be_of_any_length(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "s0", required_input_pattern=NEVER)
    for n in range(1, 120):
        if n % 2:
            sql.add_step("flow", f"s{n}", [f"s{n - 1}"], step_type="map")
        else:
            sql.add_step("flow", f"s{n}", [f"s{n - 1}"], required_input_pattern=NEVER)
    run = sql.start("flow", {})
    assert (run.status, run.output) == ("completed", {"s119": []})


def test_a_step_that_only_an_empty_map_releases_is_decided_too(sql: Sql) -> None:
    sql.define("flow", "each[]")
    sql.add_step("flow", "yes", ["each"], required_input_pattern={"each": []})
    sql.add_step("flow", "no", ["each"], required_input_pattern={"each": [1]})
    run = sql.start("flow", [])
    assert sql.step_statuses(run.run_id) == {"each": "completed", "yes": "started", "no": "skipped"}


def test_a_condition_behind_an_empty_map_can_fail_the_run(sql: Sql) -> None:
    sql.define("flow", "each[]", "other")
    sql.add_step("flow", "no", ["each"], required_input_pattern={"each": [1]}, when_unmet="fail")
    run = sql.start("flow", [])
    assert run.status == "failed"
    assert sql.step_statuses(run.run_id) == {"each": "completed", "other": "created", "no": "failed"}


def test_a_condition_behind_an_empty_array_in_the_middle_of_a_run_is_decided_too(sql: Sql) -> None:
    sql.define("flow", "a", "each[] < a")
    sql.add_step("flow", "no", ["each"], required_input_pattern={"each": [1]})
    sql.add_step("flow", "end", ["no"])
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), [])
    assert sql.step_statuses(run.run_id) == {"a": "completed", "each": "completed", "no": "skipped", "end": "started"}


def test_several_runs_in_one_call_are_decided_each_for_itself(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "a", required_input_pattern={"x": 1})
    sql.add_step("flow", "b", ["a"])
    runs = sql.rows(
        "select * from django_pgflow.start_flows('flow', array['{\"x\": 1}', '{\"x\": 2}', '{\"x\": 1}']::jsonb[])"
    )
    statuses = [sql.step_statuses(run.run_id) for run in runs]
    met = {"a": "started", "b": "created"}
    assert statuses == [met, {"a": "skipped", "b": "started"}, met]
