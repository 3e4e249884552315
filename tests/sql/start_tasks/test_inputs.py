"""``start_tasks``: the input that each kind of task gets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.sql import SQL_NULL, Sql

ELEMENTS = ["text", 3, 2.5, True, None, {"a": {"b": [None, 1]}}, [1, [2]], "", {}]


def test_a_root_step_gets_the_flow_input_under_run(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.start("flow", {"url": "x"})
    task = sql.claim_one("flow")
    assert task.input == {"run": {"url": "x"}}
    assert task.flow_input == {"url": "x"}


def test_a_dependent_step_gets_the_outputs_of_its_dependencies_beside_it(sql: Sql) -> None:
    sql.define("flow", "a", "b", "unrelated", "c < a b")
    sql.start("flow", [7])
    for task in sql.claim("flow"):
        sql.complete(task, {"from": task.step_slug})
    task = sql.claim_one("flow")
    assert task.input == {"run": [7], "a": {"from": "a"}, "b": {"from": "b"}}
    assert task.flow_input is None


def test_only_direct_dependencies_are_in_the_input(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", "c < b")
    sql.start("flow", 1)
    sql.complete(sql.claim_one("flow"), "A")
    sql.complete(sql.claim_one("flow"), "B")
    assert sql.claim_one("flow").input == {"run": 1, "b": "B"}


@pytest.mark.parametrize("output", [None, SQL_NULL])
def test_a_dependency_without_output_gives_null(sql: Sql, output: Any) -> None:
    sql.define("flow", "a", "b < a")
    sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), output)
    assert sql.claim_one("flow").input == {"run": {}, "a": None}


def test_a_map_dependency_gives_its_whole_array(sql: Sql) -> None:
    sql.define("flow", "each[]", "after < each")
    sql.start("flow", [1, 2, 3])
    for task in sql.claim("flow"):
        sql.complete(task, task.input * 10)
    assert sql.claim_one("flow").input == {"run": [1, 2, 3], "each": [10, 20, 30]}


def test_several_map_dependencies_give_a_key_each(sql: Sql) -> None:
    sql.define("flow", "x[]", "y[]", "plain", "join < x y plain")
    sql.start("flow", [1, 2])
    for task in sql.claim("flow"):
        sql.complete(task, {} if task.step_slug == "plain" else f"{task.step_slug}{task.input}")
    assert sql.claim_one("flow").input == {"run": [1, 2], "x": ["x1", "x2"], "y": ["y1", "y2"], "plain": {}}


def test_a_root_map_task_gets_its_element_alone(sql: Sql) -> None:
    sql.define("flow", "each[]")
    sql.start("flow", ELEMENTS)
    tasks = sql.claim("flow")
    assert [task.input for task in tasks] == ELEMENTS
    assert [task.task_index for task in tasks] == list(range(len(ELEMENTS)))
    assert {task.flow_input for task in tasks} == {None}


def test_a_null_element_is_json_null(sql: Sql) -> None:
    sql.define("flow", "each[]")
    sql.start("flow", [None])
    text = sql.value(
        "select input::text from pgflow.start_tasks('flow', %(ids)s::bigint[], null)", ids=sql.read("flow")
    )
    assert text == "null"


def test_a_dependent_map_task_gets_its_element_of_the_parents_array(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list")
    sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), ELEMENTS)
    tasks = sql.claim("flow")
    assert [task.input for task in tasks] == ELEMENTS
    assert {task.flow_input for task in tasks} == {None}


def test_a_map_of_a_map_gets_the_outputs_of_the_first(sql: Sql) -> None:
    sql.define("flow", "x[]", "y[] < x")
    sql.start("flow", [1, 2, 3])
    for task in reversed(sql.claim("flow")):
        sql.complete(task, {"was": task.input} if task.input != 2 else SQL_NULL)
    assert [task.input for task in sql.claim("flow")] == [{"was": 1}, None, {"was": 3}]


def test_150_elements_arrive_in_their_tasks(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list")
    sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), [f"item {n}" for n in range(150)])
    tasks = sql.claim("flow")
    assert [(task.task_index, task.input) for task in tasks] == [(n, f"item {n}") for n in range(150)]


def test_a_retried_map_task_gets_the_same_element(sql: Sql) -> None:
    sql.define("flow", "each[]", base_delay=0)
    sql.start("flow", ["a", "b"])
    for task in sql.claim("flow"):
        sql.fail(task)
    assert [task.input for task in sql.claim("flow")] == ["a", "b"]


def test_with_task_input_deps_a_root_step_gets_an_empty_object(sql: Sql) -> None:
    sql.rows("set local pgflow.task_input = 'deps'")
    sql.define("flow", "a")
    sql.start("flow", {"url": "x"})
    task = sql.claim_one("flow")
    assert (task.input, task.flow_input) == ({}, {"url": "x"})


def test_with_task_input_deps_a_dependent_step_gets_its_dependencies_alone(sql: Sql) -> None:
    sql.rows("set local pgflow.task_input = 'deps'")
    sql.define("flow", "a", "b < a")
    sql.start("flow", {"url": "x"})
    sql.complete(sql.claim_one("flow"), "A")
    task = sql.claim_one("flow")
    assert (task.input, task.flow_input) == ({"a": "A"}, None)


def test_with_task_input_deps_a_map_task_still_gets_its_element(sql: Sql) -> None:
    sql.rows("set local pgflow.task_input = 'deps'")
    sql.define("flow", "each[]")
    sql.start("flow", ["a"])
    task = sql.claim_one("flow")
    assert (task.input, task.flow_input) == ("a", None)


def test_with_task_input_run_it_is_as_by_default(sql: Sql) -> None:
    sql.rows("set local pgflow.task_input = 'run'")
    sql.define("flow", "a")
    sql.start("flow", 1)
    assert sql.claim_one("flow").input == {"run": 1}
