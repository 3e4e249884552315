"""``_compare_flow_shapes``: what differs between two shapes, in sentences."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.fixtures.sql import Sql

NOT_DEFINED = {"defined": False}


def step(slug: str = "a", **changes: Any) -> dict[str, Any]:
    return {
        "slug": slug,
        "stepType": "single",
        "dependencies": [],
        "whenUnmet": "skip",
        "whenExhausted": "fail",
        "requiredInputPattern": NOT_DEFINED,
        "forbiddenInputPattern": NOT_DEFINED,
        **changes,
    }


def pattern(**value: Any) -> dict[str, Any]:
    return {"defined": True, "value": value}


def without(given: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in keys}


def compare(sql: Sql, first: list[dict[str, Any]], second: list[dict[str, Any]]) -> list[str]:
    return compare_shapes(sql, {"steps": first}, {"steps": second})


def compare_shapes(sql: Sql, first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    differences: list[str] = sql.value(
        "select pgflow._compare_flow_shapes(p_local => %(first)s, p_db => %(second)s)",
        first=Jsonb(first),
        second=Jsonb(second),
    )
    return differences


def test_equal_shapes_have_no_differences(sql: Sql) -> None:
    steps = [step("a"), step("b", dependencies=["a"], requiredInputPattern=pattern(a={}))]
    assert compare(sql, steps, steps) == []


def test_steps_that_only_one_shape_has_are_named(sql: Sql) -> None:
    assert compare(sql, [step("a")], [step("a"), step("b")]) == [
        "Step count differs: 1 vs 2",
        "Step at index 1: missing in first shape (second has 'b')",
    ]
    assert compare(sql, [step("a"), step("b")], [step("a")]) == [
        "Step count differs: 2 vs 1",
        "Step at index 1: missing in second shape (first has 'b')",
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"slug": "z"}, "slug differs 'a' vs 'z'"),
        ({"stepType": "map"}, "type differs 'single' vs 'map'"),
        ({"dependencies": ["y", "x"]}, "dependencies differ [] vs [x, y]"),
        ({"whenUnmet": "fail"}, "whenUnmet differs 'skip' vs 'fail'"),
        ({"whenExhausted": "skip"}, "whenExhausted differs 'fail' vs 'skip'"),
        (
            {"requiredInputPattern": pattern(x=1)},
            """requiredInputPattern differs '{"defined": false}' vs '{"value": {"x": 1}, "defined": true}'""",
        ),
        (
            {"forbiddenInputPattern": pattern()},
            """forbiddenInputPattern differs '{"defined": false}' vs '{"value": {}, "defined": true}'""",
        ),
    ],
)
def test_a_difference_is_told_from_both_sides(sql: Sql, changes: dict[str, Any], text: str) -> None:
    assert compare(sql, [step()], [step(**changes)]) == [f"Step at index 0: {text}"]
    assert len(compare(sql, [step(**changes)], [step()])) == 1


@pytest.mark.parametrize("key", ["requiredInputPattern", "forbiddenInputPattern"])
def test_patterns_of_different_values_differ(sql: Sql, key: str) -> None:
    (text,) = compare(sql, [step(**{key: pattern(x=1)})], [step(**{key: pattern(x=2)})])
    assert text.startswith(f"Step at index 0: {key} differs")


def test_both_modes_may_differ_at_once(sql: Sql) -> None:
    differences = compare(sql, [step()], [step(whenUnmet="fail", whenExhausted="skip-cascade")])
    assert [text.split(" differs")[0] for text in differences] == [
        "Step at index 0: whenUnmet",
        "Step at index 0: whenExhausted",
    ]


def test_the_order_of_dependencies_does_not_matter(sql: Sql) -> None:
    assert compare(sql, [step(dependencies=["x", "y"])], [step(dependencies=["y", "x"])]) == []


def test_lines_of_one_step_come_in_order_and_steps_by_index(sql: Sql) -> None:
    other = step(
        "z",
        stepType="map",
        dependencies=["x"],
        whenUnmet="fail",
        whenExhausted="skip",
        requiredInputPattern=pattern(),
        forbiddenInputPattern=pattern(),
    )
    differences = compare(sql, [step("a"), step("b")], [other, step("c"), step("d")])
    assert [text.split(" differ")[0] for text in differences] == [
        "Step count",
        "Step at index 0: slug",
        "Step at index 0: type",
        "Step at index 0: dependencies",
        "Step at index 0: whenUnmet",
        "Step at index 0: whenExhausted",
        "Step at index 0: requiredInputPattern",
        "Step at index 0: forbiddenInputPattern",
        "Step at index 1: slug",
        "Step at index 2: missing in first shape (second has 'd')",
    ]


@pytest.mark.parametrize("key", ["slug", "stepType", "whenUnmet", "whenExhausted"])
def test_what_a_shape_does_not_say_counts_as_equal(sql: Sql, key: str) -> None:
    for silent in (without(step(), key), step(**{key: None})):
        assert compare(sql, [silent], [step(**{key: "other"})]) == []
        assert compare(sql, [step(**{key: "other"})], [silent]) == []


@pytest.mark.parametrize("key", ["requiredInputPattern", "forbiddenInputPattern"])
def test_an_absent_pattern_counts_as_not_defined(sql: Sql, key: str) -> None:
    for silent in (without(step(), key), step(**{key: None})):
        assert compare(sql, [silent], [step()]) == []
        assert compare(sql, [step()], [silent]) == []
    assert compare(sql, [without(step(), key)], [step(**{key: pattern(x=1)})]) == [
        f"""Step at index 0: {key} differs '' vs '{{"value": {{"x": 1}}, "defined": true}}'"""
    ]


def test_unknown_keys_and_options_are_not_compared(sql: Sql) -> None:
    said = [step(options={"maxAttempts": 1}, note="x")]
    assert compare_shapes(sql, {"steps": said, "options": {"timeout": 1}, "x": 1}, {"steps": [step()]}) == []


def test_a_shape_without_steps_has_none(sql: Sql) -> None:
    assert compare_shapes(sql, {}, {"steps": []}) == []
    assert compare_shapes(sql, {}, {"steps": [step()]}) == [
        "Step count differs: 0 vs 1",
        "Step at index 0: missing in first shape (second has 'a')",
    ]
