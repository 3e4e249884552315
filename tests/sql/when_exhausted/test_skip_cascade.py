"""``when_exhausted`` = ``skip-cascade``: the step is skipped with all that depends on it."""

from __future__ import annotations

from tests.fixtures.sql import Sql


def test_all_transitive_dependents_are_skipped_and_an_independent_step_runs(sql: Sql) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "a", when_exhausted="skip-cascade")
    sql.add_step("flow", "b", ["a"])
    sql.add_step("flow", "c", ["b"])
    sql.add_step("flow", "other")
    run = sql.start("flow", {})
    sql.fail(sql.claim("flow", 1)[0], "no luck")
    reasons = {slug: (step.status, step.skip_reason) for slug, step in sql.steps(run.run_id).items()}
    assert reasons == {
        "a": ("skipped", "handler_failed"),
        "b": ("skipped", "dependency_skipped"),
        "c": ("skipped", "dependency_skipped"),
        "other": ("started", None),
    }
    assert (sql.run(run.run_id).status, sql.run(run.run_id).remaining_steps) == ("started", 1)


def test_the_error_is_on_the_failed_step_alone(sql: Sql) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "a", when_exhausted="skip-cascade")
    sql.add_step("flow", "b", ["a"])
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"), "no luck")
    assert {slug: step.error_message for slug, step in sql.steps(run.run_id).items()} == {"a": "no luck", "b": None}


def test_the_run_can_complete_in_the_same_call(sql: Sql) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "a", when_exhausted="skip-cascade")
    sql.add_step("flow", "each", ["a"], step_type="map")
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"))
    ended = sql.run(run.run_id)
    assert (ended.status, ended.remaining_steps, ended.output) == ("completed", 0, None)
    assert sql.step(run.run_id, "each").skip_reason == "dependency_skipped"
    assert sql.message_counts("flow") == (0, 1)


def test_a_dependent_that_waits_for_a_running_parent_is_skipped_and_the_parent_goes_on(sql: Sql) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "a", when_exhausted="skip-cascade")
    sql.add_step("flow", "other")
    sql.add_step("flow", "join", ["a", "other"])
    run = sql.start("flow", {})
    first, second = sql.claim("flow")
    sql.fail(first)
    assert sql.step_statuses(run.run_id) == {"a": "skipped", "other": "started", "join": "skipped"}
    sql.complete(second, 1)
    # The completion releases nothing: what depended on it has ended.
    assert (sql.step(run.run_id, "join").status, sql.run(run.run_id).status) == ("skipped", "completed")


def test_the_siblings_of_a_map_are_closed(sql: Sql) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "each", step_type="map", when_exhausted="skip-cascade")
    sql.add_step("flow", "end", ["each"])
    run = sql.start("flow", [1, 2, 3])
    _, lost, _ = sql.claim("flow")
    sql.fail(lost)
    assert sql.task_statuses(run.run_id, "each") == ["skipped", "failed", "skipped"]
    assert sql.message_counts("flow") == (0, 3)
    assert sql.run(run.run_id).status == "completed"
