"""``start_flow``: a run, and a state for each step."""

from __future__ import annotations

from uuid import uuid4

from tests.fixtures.sql import Sql


def test_the_run_is_started_with_its_input_and_all_steps_remaining(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", "c < b")
    run = sql.start("flow", {"url": "x"})
    assert (run.flow_slug, run.status, run.input, run.output) == ("flow", "started", {"url": "x"}, None)
    assert run.remaining_steps == 3
    assert sql.run(run.run_id) == run


def test_the_given_id_is_used(sql: Sql) -> None:
    sql.define("flow", "a")
    run_id = uuid4()
    assert sql.start("flow", {}, run_id=run_id).run_id == run_id


def test_without_an_id_each_run_gets_its_own(sql: Sql) -> None:
    sql.define("flow", "a")
    assert sql.start("flow", {}).run_id != sql.start("flow", {}).run_id
    assert sql.start("flow", {}, run_id=None).run_id is not None


def test_each_step_of_the_flow_and_no_other_gets_a_state(sql: Sql) -> None:
    sql.define("other", "x")
    sql.define("flow", "a", "b < a")
    assert set(sql.steps(sql.start("flow", {}).run_id)) == {"a", "b"}


def test_only_root_steps_are_started(sql: Sql) -> None:
    sql.define("flow", "a", "b", "c < a b")
    run = sql.start("flow", {})
    assert sql.step_statuses(run.run_id) == {"a": "started", "b": "started", "c": "created"}


def test_a_waiting_step_counts_its_dependencies_and_has_no_tasks(sql: Sql) -> None:
    sql.define("flow", "a", "b", "c < a b")
    run = sql.start("flow", {})
    waiting = sql.step(run.run_id, "c")
    assert (waiting.remaining_deps, waiting.remaining_tasks, waiting.initial_tasks) == (2, None, 1)
    assert waiting.started_at is None
    assert sql.tasks(run.run_id, "c") == []


def test_a_root_step_has_one_task(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    step = sql.step(run.run_id, "a")
    assert (step.remaining_deps, step.initial_tasks, step.remaining_tasks) == (0, 1, 1)


def test_a_flow_without_steps_completes_at_once_with_null_output(sql: Sql) -> None:
    sql.define("flow")
    run = sql.start("flow", {"x": 1})
    assert (run.status, run.remaining_steps) == ("completed", 0)
    assert run.completed_at is not None
    assert sql.value("select output is null from pgflow.runs where run_id = %(id)s", id=run.run_id)


def test_any_json_is_an_input_where_no_root_step_maps(sql: Sql) -> None:
    sql.define("flow", "a")
    for value in (None, True, 3, "text", [1, 2], {"a": {"b": []}}, "ünï ☃"):
        assert sql.start("flow", value).input == value


def test_json_null_is_stored_as_json_null(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", None)
    assert sql.value("select input::text from pgflow.runs where run_id = %(id)s", id=run.run_id) == "null"


def test_run_states_and_tasks_are_stamped(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    now = sql.value("select now()")
    assert (run.started_at, run.completed_at, run.failed_at) == (now, None, None)
    assert (sql.step(run.run_id, "a").created_at, sql.step(run.run_id, "a").started_at) == (now, now)
    assert (sql.step(run.run_id, "b").created_at, sql.step(run.run_id, "b").started_at) == (now, None)
    assert (sql.task(run.run_id, "a").queued_at, sql.task(run.run_id, "a").started_at) == (now, None)
