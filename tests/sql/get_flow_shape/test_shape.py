"""``_get_flow_shape``: the stored structure of a flow."""

from __future__ import annotations

from typing import Any

from tests.fixtures.sql import Sql

NOT_DEFINED = {"defined": False}


def shape(sql: Sql, flow_slug: str = "flow") -> Any:
    return sql.value("select pgflow._get_flow_shape(p_flow_slug => %(slug)s)", slug=flow_slug)


def test_steps_are_listed_in_order_with_all_that_is_compared(sql: Sql) -> None:
    sql.define("flow", "z", "a", "m")
    assert [step["slug"] for step in shape(sql)["steps"]] == ["z", "a", "m"]
    assert shape(sql)["steps"][0] == {
        "slug": "z",
        "stepType": "single",
        "dependencies": [],
        "whenUnmet": "skip",
        "whenExhausted": "fail",
        "requiredInputPattern": NOT_DEFINED,
        "forbiddenInputPattern": NOT_DEFINED,
    }


def test_dependencies_are_sorted(sql: Sql) -> None:
    sql.define("flow", "z", "a", "M", "end < z M a")
    assert shape(sql)["steps"][3]["dependencies"] == ["M", "a", "z"]


def test_a_map_step_is_of_type_map(sql: Sql) -> None:
    sql.define("flow", "a", "each[] < a")
    assert [step["stepType"] for step in shape(sql)["steps"]] == ["single", "map"]


def test_modes_and_patterns_are_shown(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step(
        "flow",
        "a",
        required_input_pattern={"x": {"y": 1}},
        forbidden_input_pattern={},
        when_unmet="skip-cascade",
        when_exhausted="skip",
    )
    (step,) = shape(sql)["steps"]
    assert step["requiredInputPattern"] == {"defined": True, "value": {"x": {"y": 1}}}
    assert step["forbiddenInputPattern"] == {"defined": True, "value": {}}
    assert (step["whenUnmet"], step["whenExhausted"]) == ("skip-cascade", "skip")


def test_options_are_no_part_of_it(sql: Sql) -> None:
    sql.define("flow", max_attempts=7)
    sql.add_step("flow", "a", max_attempts=2, start_delay=9)
    assert set(shape(sql)) == {"steps"}
    assert "options" not in shape(sql)["steps"][0]


def test_an_unknown_flow_has_no_steps(sql: Sql) -> None:
    assert shape(sql, "nobody") == {"steps": []}
