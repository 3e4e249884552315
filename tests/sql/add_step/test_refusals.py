"""``add_step``: what it refuses, in the words that a client may match."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.fixtures.sql import DEADLINE, Sessions, Sql


def test_an_unknown_flow(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as caught:
        sql.add_step("nowhere", "step")
    assert str(caught.value).startswith(
        'insert or update on table "steps" violates foreign key constraint "steps_flow_slug_fkey"'
    )


def test_an_unknown_dependency(sql: Sql) -> None:
    sql.define("flow")
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as caught:
        sql.add_step("flow", "step", ["missing"])
    assert str(caught.value).startswith(
        'insert or update on table "deps" violates foreign key constraint "deps_flow_slug_dep_slug_fkey"'
    )


def test_a_step_that_depends_on_itself(sql: Sql) -> None:
    sql.define("flow")
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        sql.add_step("flow", "step", ["step"])
    assert str(caught.value).startswith('new row for relation "deps" violates check constraint "deps_check"')


@pytest.mark.parametrize("parents", [["a", "b"], ["c", "a", "b"]])
def test_a_map_step_with_several_dependencies(sql: Sql, parents: list[str]) -> None:
    sql.define("flow", "a", "b", "c")
    with pytest.raises(psycopg.errors.RaiseException) as caught:
        sql.add_step("flow", "each", parents, step_type="map")
    assert caught.value.diag.message_primary == (
        f'Map step "each" can have at most one dependency, but {len(parents)} were provided: {", ".join(parents)}'
    )


@pytest.mark.parametrize(
    ("arguments", "constraint"),
    [
        ({"step_slug": "no-slug"}, "steps_step_slug_check"),
        ({"step_slug": "run"}, "steps_step_slug_check"),
        ({"step_type": "loop"}, "steps_step_type_check"),
        ({"when_unmet": "never"}, "when_unmet_is_valid"),
        ({"when_exhausted": "never"}, "when_exhausted_is_valid"),
        ({"required_input_pattern": Jsonb([])}, "required_input_pattern_is_object"),
        ({"forbidden_input_pattern": Jsonb("x")}, "forbidden_input_pattern_is_object"),
        ({"max_attempts": -1}, "opt_max_attempts_is_nonnegative"),
        ({"base_delay": -1}, "opt_base_delay_is_nonnegative"),
        ({"start_delay": -1}, "opt_start_delay_is_nonnegative"),
        ({"timeout": 0}, "opt_timeout_is_positive"),
    ],
)
def test_a_value_that_a_check_forbids(sql: Sql, arguments: dict[str, Any], constraint: str) -> None:
    sql.define("flow")
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        sql.add_step(**{"flow_slug": "flow", "step_slug": "step", **arguments})
    assert str(caught.value).startswith(f'new row for relation "steps" violates check constraint "{constraint}"')


@pytest.mark.parametrize("mode", ["when_unmet", "when_exhausted"])
def test_a_null_mode(sql: Sql, mode: str) -> None:
    sql.define("flow")
    with pytest.raises(psycopg.errors.NotNullViolation) as caught:
        sql.add_step("flow", "step", **{mode: None})
    assert caught.value.diag.column_name == mode


def test_a_refused_step_leaves_nothing(sql: Sql) -> None:
    sql.define("flow")
    with pytest.raises(psycopg.errors.ForeignKeyViolation), sql.transaction():
        sql.add_step("flow", "step", ["missing"])
    assert sql.value("select count(*) from pgflow.steps where flow_slug = 'flow'") == 0


def test_two_sessions_adding_to_one_flow_leave_distinct_indexes(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("flow_of_two")
    with first.transaction():
        first.add_step("flow_of_two", "a")
        waiting = sessions.begin(second.add_step, "flow_of_two", "b")
        sessions.wait_until_blocked(second, waiting)
    # The contract allows a refusal by steps_flow_slug_step_index_key; a caller would then add again.
    with contextlib.suppress(psycopg.errors.UniqueViolation):
        waiting.result(timeout=DEADLINE)
    second.add_step("flow_of_two", "b")
    rows = first.rows("select step_slug, step_index from pgflow.steps where flow_slug = 'flow_of_two'")
    assert {(row.step_slug, row.step_index) for row in rows} == {("a", 0), ("b", 1)}
