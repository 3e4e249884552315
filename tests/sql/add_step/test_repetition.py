"""``add_step``: a step that exists stays as it is."""

from __future__ import annotations

from tests.fixtures.sql import Sql


def test_adding_twice_leaves_one_row_and_returns_it(sql: Sql) -> None:
    sql.define("flow", "a")
    first = sql.add_step("flow", "b", ["a"], max_attempts=2, start_delay=5)
    assert sql.add_step("flow", "b", ["a"], max_attempts=9, start_delay=9, timeout=9, step_type="map") == first
    assert sql.value("select count(*) from pgflow.steps where flow_slug = 'flow'") == 2


def test_adding_twice_adds_no_edge(sql: Sql) -> None:
    sql.define("flow", "a", "b")
    sql.add_step("flow", "c", ["a"])
    assert sql.add_step("flow", "c", ["a", "b"]).deps_count == 1
    assert sql.value("select count(*) from pgflow.deps where flow_slug = 'flow'") == 1


def test_adding_twice_uses_up_no_index(sql: Sql) -> None:
    sql.define("flow", "a", "a", "a")
    assert sql.add_step("flow", "b").step_index == 1


def test_a_whole_definition_can_be_run_again(sql: Sql) -> None:
    definition = ("a", "b < a", "c[] < b", "d < a c")
    sql.define("flow", *definition)
    before = sql.rows("select * from pgflow.steps where flow_slug = 'flow' order by step_index")
    sql.define("flow", *definition)
    assert sql.rows("select * from pgflow.steps where flow_slug = 'flow' order by step_index") == before
    assert sql.value("select count(*) from pgflow.deps where flow_slug = 'flow'") == 4
