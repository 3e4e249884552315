"""``complete_task``: what the run's output holds in the end."""

from __future__ import annotations

from tests.fixtures.sql import SQL_NULL, Sql


def test_each_leaf_step_has_a_key_and_inner_steps_none(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", "c < a", "alone")
    run = sql.start("flow", {})
    sql.work("flow", a="A", b="B", c="C", alone={"x": 1})
    assert sql.run(run.run_id).output == {"b": "B", "c": "C", "alone": {"x": 1}}


def test_a_leaf_without_output_has_a_null(sql: Sql) -> None:
    sql.define("flow", "a", "b")
    run = sql.start("flow", {})
    for task in sql.claim("flow"):
        sql.complete(task, SQL_NULL if task.step_slug == "a" else None)
    assert sql.run(run.run_id).output == {"a": None, "b": None}


def test_a_leaf_map_gives_its_array(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", [1, 2, 3])
    sql.work("flow", each=lambda element: element + 1)
    assert sql.run(run.run_id).output == {"each": [2, 3, 4]}


def test_the_output_is_empty_while_steps_remain(sql: Sql) -> None:
    sql.define("flow", "a", "b")
    run = sql.start("flow", {})
    sql.complete(sql.claim("flow")[0], "A")
    assert sql.run(run.run_id).output is None
