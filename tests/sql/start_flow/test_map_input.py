"""``start_flow``: root map steps count the elements of the input."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.fixtures.sql import SQL_NULL, Sql


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ([1, 2, 3], 3),
        (list(range(100)), 100),
        (["a", "a", None, None, 1, {"x": 1}, [1, 2, 3], True], 8),
        (["ünï", "☃", "日本語"], 3),
        ([[]], 1),
    ],
)
def test_each_element_counts(sql: Sql, value: list[Any], count: int) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", value)
    step = sql.step(run.run_id, "each")
    assert (step.status, step.initial_tasks, step.remaining_tasks) == ("started", count, count)
    assert len(sql.tasks(run.run_id, "each")) == count


def test_several_root_maps_count_the_same_array(sql: Sql) -> None:
    sql.define("flow", "x[]", "y[]")
    run = sql.start("flow", [1, 2])
    assert [sql.step(run.run_id, slug).initial_tasks for slug in ("x", "y")] == [2, 2]
    assert len(sql.tasks(run.run_id, "x")) == len(sql.tasks(run.run_id, "y")) == 2


def test_a_dependent_map_does_not_know_its_count_yet(sql: Sql) -> None:
    sql.define("flow", "single", "each[]", "of_single[] < single", "of_map[] < each")
    run = sql.start("flow", [1, 2])
    for slug in ("of_single", "of_map"):
        step = sql.step(run.run_id, slug)
        assert (step.status, step.initial_tasks, step.remaining_deps) == ("created", None, 1)


@pytest.mark.parametrize(
    ("value", "json_type"),
    [(None, "null"), (True, "boolean"), (1, "number"), ("text", "string"), ({"items": [1, 2]}, "object")],
)
def test_an_input_that_is_not_an_array_is_refused(sql: Sql, value: Any, json_type: str) -> None:
    sql.define("flow", "each[]")
    with pytest.raises(psycopg.errors.RaiseException) as caught, sql.transaction():
        sql.start("flow", value)
    assert (
        caught.value.diag.message_primary == f"Flow flow has root map steps but input is not an array (got {json_type})"
    )
    assert sql.value("select count(*) from pgflow.runs where flow_slug = 'flow'") == 0


def test_sql_null_is_refused_with_a_message_of_its_own(sql: Sql) -> None:
    sql.define("flow", "each[]")
    with pytest.raises(psycopg.errors.RaiseException) as caught:
        sql.start("flow", SQL_NULL)
    assert caught.value.diag.message_primary == "Flow flow has root map steps but input is NULL"


def test_a_dependent_map_asks_nothing_of_the_input(sql: Sql) -> None:
    sql.define("flow", "single", "each[] < single")
    assert sql.start("flow", {"not": "an array"}).status == "started"
