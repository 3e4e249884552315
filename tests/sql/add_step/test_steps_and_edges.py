"""``add_step``: nodes and edges."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.fixtures.sql import Sql


def edges(sql: Sql, flow_slug: str) -> set[tuple[str, str]]:
    """Return (parent, child) of each edge."""
    rows = sql.rows("select dep_slug, step_slug from pgflow.deps where flow_slug = %(slug)s", slug=flow_slug)
    return {(row.dep_slug, row.step_slug) for row in rows}


def test_a_root_step_has_no_dependencies(sql: Sql) -> None:
    sql.define("flow")
    assert sql.add_step("flow", "root").deps_count == 0
    assert edges(sql, "flow") == set()


def test_null_dependencies_are_none(sql: Sql) -> None:
    sql.define("flow")
    (step,) = sql.call("pgflow.add_step", flow_slug="flow", step_slug="root", deps_slugs=None)
    assert step.deps_count == 0


def test_a_dependent_step_records_its_edges(sql: Sql) -> None:
    sql.define("flow", "a", "b")
    assert sql.add_step("flow", "join", ["a", "b"]).deps_count == 2
    assert edges(sql, "flow") == {("a", "join"), ("b", "join")}


def test_indexes_follow_the_order_of_addition(sql: Sql) -> None:
    sql.define("flow")
    assert [sql.add_step("flow", slug).step_index for slug in ("z", "y", "x")] == [0, 1, 2]


def test_flows_do_not_share_steps_or_indexes(sql: Sql) -> None:
    sql.define("flow", "a", "b")
    sql.define("other")
    assert sql.add_step("other", "a").step_index == 0


def test_steps_and_edges_are_stamped_with_their_creation(sql: Sql) -> None:
    sql.define("flow", "a")
    assert sql.add_step("flow", "b", ["a"]).created_at == sql.value("select now()")
    assert sql.value("select created_at from pgflow.deps where flow_slug = 'flow'") == sql.value("select now()")


def test_a_step_is_single_unless_said_otherwise(sql: Sql) -> None:
    sql.define("flow")
    assert sql.add_step("flow", "plain").step_type == "single"
    assert sql.add_step("flow", "single", step_type="single").step_type == "single"
    assert sql.add_step("flow", "map", step_type="map").step_type == "map"
    assert sql.add_step("flow", "null", step_type=None).step_type == "single"


def test_options_are_inherited_unless_given(sql: Sql) -> None:
    sql.define("flow")
    step = sql.add_step("flow", "plain")
    assert (step.opt_max_attempts, step.opt_base_delay, step.opt_timeout, step.opt_start_delay) == (None,) * 4
    step = sql.add_step("flow", "own", max_attempts=0, base_delay=0, timeout=7, start_delay=0)
    assert (step.opt_max_attempts, step.opt_base_delay, step.opt_timeout, step.opt_start_delay) == (0, 0, 7, 0)


def test_conditions_and_modes_are_stored_as_given(sql: Sql) -> None:
    sql.define("flow", "root")
    pattern: dict[str, Any] = {"root": {"deep": [{"x": None}]}}
    step = sql.add_step(
        "flow",
        "conditional",
        ["root"],
        required_input_pattern=Jsonb(pattern),
        forbidden_input_pattern=Jsonb({}),
        when_unmet="skip-cascade",
        when_exhausted="skip",
        max_attempts=2,
        start_delay=3,
    )
    assert step.required_input_pattern == pattern
    assert step.forbidden_input_pattern == {}
    assert (step.when_unmet, step.when_exhausted) == ("skip-cascade", "skip")
    assert (step.opt_max_attempts, step.opt_start_delay) == (2, 3)


def test_modes_default_to_skip_and_fail(sql: Sql) -> None:
    sql.define("flow")
    step = sql.add_step("flow", "plain")
    assert (step.when_unmet, step.when_exhausted) == ("skip", "fail")
    assert (step.required_input_pattern, step.forbidden_input_pattern) == (None, None)


@pytest.mark.parametrize("dependencies", [[], ["a"]])
def test_a_map_step_takes_no_or_one_dependency(sql: Sql, dependencies: list[str]) -> None:
    sql.define("flow", "a")
    assert sql.add_step("flow", "map", dependencies, step_type="map").deps_count == len(dependencies)


def test_a_single_step_takes_many_dependencies(sql: Sql) -> None:
    parents = [f"p{n}" for n in range(12)]
    sql.define("flow", *parents)
    assert sql.add_step("flow", "join", parents).deps_count == 12


def test_a_dependency_named_twice_counts_once(sql: Sql) -> None:
    sql.define("flow", "a")
    assert sql.add_step("flow", "b", ["a", "a"]).deps_count == 1
    run = sql.start("flow", {})
    sql.work("flow")
    assert sql.run(run.run_id).status == "completed"
