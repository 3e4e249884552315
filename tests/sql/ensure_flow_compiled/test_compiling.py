"""``ensure_flow_compiled``: makes the database hold a flow of a given shape."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.fixtures.sql import DEADLINE, Sessions, Sql

SHAPE = {
    "steps": [
        {"slug": "a", "stepType": "single", "dependencies": []},
        {"slug": "each", "stepType": "map", "dependencies": ["a"]},
        {"slug": "end", "stepType": "single", "dependencies": ["a", "each"]},
    ]
}
OTHER_SHAPE = {"steps": [{"slug": "b", "stepType": "single", "dependencies": []}]}


def compile_flow(sql: Sql, shape: dict[str, Any], **arguments: Any) -> Any:
    ((answer,),) = sql.call("pgflow.ensure_flow_compiled", flow_slug="flow", shape=Jsonb(shape), **arguments)
    return answer


def stored_steps(sql: Sql) -> list[Any]:
    return sql.rows("select * from pgflow.steps where flow_slug = 'flow' order by step_index")


def be_local(sql: Sql) -> None:
    sql.rows(
        "select set_config('app.settings.jwt_secret', 'super-secret-jwt-token-with-at-least-32-characters-long', true)"
    )


def test_a_missing_flow_is_compiled(sql: Sql) -> None:
    assert compile_flow(sql, SHAPE) == {"status": "compiled", "differences": []}
    assert [(step.step_slug, step.step_type, step.deps_count) for step in stored_steps(sql)] == [
        ("a", "single", 0),
        ("each", "map", 1),
        ("end", "single", 2),
    ]
    edges = sql.rows("select dep_slug, step_slug from pgflow.deps where flow_slug = 'flow'")
    assert {tuple(edge) for edge in edges} == {("a", "each"), ("a", "end"), ("each", "end")}


def test_a_compiled_flow_has_a_queue_and_runs(sql: Sql) -> None:
    compile_flow(sql, SHAPE)
    run = sql.start("flow", {})
    sql.work("flow", a=[1, 2], each=3, end="done")
    assert sql.run(run.run_id).output == {"end": "done"}


def test_what_was_compiled_reads_back_the_same(sql: Sql) -> None:
    shape = {
        "steps": [
            {
                "slug": "a",
                "stepType": "single",
                "dependencies": [],
                "whenUnmet": "skip-cascade",
                "whenExhausted": "skip",
                "requiredInputPattern": {"defined": True, "value": {"x": {"y": [1]}}},
                "forbiddenInputPattern": {"defined": True, "value": {"z": None}},
            },
            {
                "slug": "each",
                "stepType": "map",
                "dependencies": ["a"],
                "whenUnmet": "fail",
                "whenExhausted": "skip-cascade",
                "requiredInputPattern": {"defined": False},
                "forbiddenInputPattern": {"defined": False},
            },
        ]
    }
    compile_flow(sql, shape)
    assert sql.value("select pgflow._get_flow_shape('flow')") == shape
    assert compile_flow(sql, shape) == {"status": "verified", "differences": []}


def test_patterns_and_modes_land_in_their_columns(sql: Sql) -> None:
    step = {
        "slug": "a",
        "whenUnmet": "fail",
        "whenExhausted": "skip",
        "requiredInputPattern": {"defined": True, "value": {"x": 1}},
        "forbiddenInputPattern": {"defined": False},
    }
    compile_flow(sql, {"steps": [step]})
    (row,) = stored_steps(sql)
    assert (row.required_input_pattern, row.forbidden_input_pattern) == ({"x": 1}, None)
    assert (row.when_unmet, row.when_exhausted) == ("fail", "skip")


def test_without_modes_and_patterns_the_defaults_are_stored_and_verified(sql: Sql) -> None:
    compile_flow(sql, SHAPE)
    for step in stored_steps(sql):
        assert (step.when_unmet, step.when_exhausted) == ("skip", "fail")
        assert (step.required_input_pattern, step.forbidden_input_pattern) == (None, None)
    assert compile_flow(sql, SHAPE) == {"status": "verified", "differences": []}


def test_options_of_flow_and_steps_are_stored(sql: Sql) -> None:
    step = {"slug": "a", "options": {"maxAttempts": 7, "baseDelay": 8, "timeout": 9, "startDelay": 10}}
    compile_flow(sql, {"steps": [step], "options": {"maxAttempts": 2, "baseDelay": 3, "timeout": 4}})
    flow = sql.row("select * from pgflow.flows where flow_slug = 'flow'")
    assert (flow.opt_max_attempts, flow.opt_base_delay, flow.opt_timeout) == (2, 3, 4)
    (row,) = stored_steps(sql)
    assert (row.opt_max_attempts, row.opt_base_delay, row.opt_timeout, row.opt_start_delay) == (7, 8, 9, 10)


def test_options_that_are_missing_are_defaults_of_the_flow_and_null_for_steps(sql: Sql) -> None:
    compile_flow(sql, {"steps": [{"slug": "a"}], "options": {"timeout": 4}})
    flow = sql.row("select * from pgflow.flows where flow_slug = 'flow'")
    assert (flow.opt_max_attempts, flow.opt_base_delay, flow.opt_timeout) == (3, 5, 4)
    (row,) = stored_steps(sql)
    assert (row.step_type, row.opt_max_attempts, row.opt_timeout, row.opt_start_delay) == ("single", None, None, None)


def test_stored_options_are_not_updated(sql: Sql) -> None:
    compile_flow(sql, {**SHAPE, "options": {"timeout": 4}})
    assert compile_flow(sql, {**SHAPE, "options": {"timeout": 99}})["status"] == "verified"
    assert sql.value("select opt_timeout from pgflow.flows where flow_slug = 'flow'") == 4


def test_a_mismatch_is_told_and_changes_nothing(sql: Sql) -> None:
    compile_flow(sql, SHAPE)
    run = sql.start("flow", {})
    answer = compile_flow(sql, OTHER_SHAPE)
    assert answer["status"] == "mismatch"
    # The given shape is the first.
    assert answer["differences"][:2] == ["Step count differs: 1 vs 3", "Step at index 0: slug differs 'b' vs 'a'"]
    assert [step.step_slug for step in stored_steps(sql)] == ["a", "each", "end"]
    assert sql.run(run.run_id).status == "started"


def test_with_permission_the_flow_is_made_anew_and_its_runs_are_lost(sql: Sql) -> None:
    compile_flow(sql, SHAPE)
    sql.start("flow", {})
    answer = compile_flow(sql, OTHER_SHAPE, allow_data_loss=True)
    assert answer["status"] == "recompiled"
    assert answer["differences"][0] == "Step count differs: 1 vs 3"
    assert [step.step_slug for step in stored_steps(sql)] == ["b"]
    assert sql.rows("select run_id from pgflow.runs where flow_slug = 'flow'") == []
    assert sql.message_counts("flow") == (0, 0)


def test_permission_alone_loses_nothing_where_shapes_are_equal(sql: Sql) -> None:
    compile_flow(sql, SHAPE)
    run = sql.start("flow", {})
    assert compile_flow(sql, SHAPE, allow_data_loss=True)["status"] == "verified"
    assert sql.run(run.run_id).status == "started"


def test_in_local_development_a_flow_that_differs_is_made_anew(sql: Sql) -> None:
    compile_flow(sql, SHAPE)
    be_local(sql)
    assert compile_flow(sql, OTHER_SHAPE)["status"] == "recompiled"


def test_a_shape_without_steps_makes_a_flow_without_steps(sql: Sql) -> None:
    assert compile_flow(sql, {})["status"] == "compiled"
    assert sql.start("flow", {}).status == "completed"


def test_errors_of_the_definition_pass_through_and_leave_nothing(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="deps_flow_slug_dep_slug_fkey"), sql.transaction():
        compile_flow(sql, {"steps": [{"slug": "a", "dependencies": ["nobody"]}]})
    assert sql.rows("select flow_slug from pgflow.flows where flow_slug = 'flow'") == []


def test_two_sessions_compile_a_flow_once(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    with first.transaction():
        assert compile_flow(first, SHAPE)["status"] == "compiled"
        other = sessions.begin(compile_flow, second, SHAPE)
        assert sessions.wait_until_blocked(second, other)
    assert other.result(timeout=DEADLINE) == {"status": "verified", "differences": []}
