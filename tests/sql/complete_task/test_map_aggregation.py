"""``complete_task``: the outputs of a map's tasks become one array."""

from __future__ import annotations

import random

import psycopg
import pytest

from tests.fixtures.sql import SQL_NULL, Sql


def test_the_array_follows_the_index_and_not_the_order_of_completion(sql: Sql) -> None:
    sql.define("flow", "each[]", "after < each")
    run = sql.start("flow", list(range(8)))
    tasks = sql.claim("flow")
    random.Random(1).shuffle(tasks)
    for task in tasks:
        sql.complete(task, task.input * task.input)
    step = sql.step(run.run_id, "each")
    assert (step.status, step.output, step.remaining_tasks) == (
        "completed",
        [0, 1, 4, 9, 16, 25, 36, 49],
        0,
    )


def test_nothing_is_aggregated_before_the_last_task(sql: Sql) -> None:
    sql.define("flow", "each[]", "after < each")
    run = sql.start("flow", [1, 2, 3])
    first, second, third = sql.claim("flow")
    for task, remaining in ((third, 2), (first, 1)):
        sql.complete(task, "x")
        step = sql.step(run.run_id, "each")
        assert (step.status, step.remaining_tasks, step.output) == ("started", remaining, None)
    sql.complete(second, "x")
    assert sql.step_statuses(run.run_id) == {"each": "completed", "after": "started"}


def test_mixed_types_and_nulls_keep_their_places(sql: Sql) -> None:
    sql.define("flow", "each[]")
    outputs = ["text", SQL_NULL, 1.5, None, {"a": 1}, [1, [2]], True, []]
    run = sql.start("flow", outputs.copy()[:1] + list(range(7)))
    for task, output in zip(sql.claim("flow"), outputs, strict=True):
        sql.complete(task, output)
    assert sql.step(run.run_id, "each").output == ["text", None, 1.5, None, {"a": 1}, [1, [2]], True, []]


def test_one_task_gives_an_array_of_one(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", ["only"])
    sql.complete(sql.claim_one("flow"), [1])
    assert sql.step(run.run_id, "each").output == [[1]]


def test_a_hundred_elements_are_aggregated(sql: Sql) -> None:
    sql.define("flow", "each[]", "total < each")
    run = sql.start("flow", list(range(100)))
    sql.work("flow", each=lambda element: element * 2, total=lambda value: sum(value["each"]))
    assert sql.run(run.run_id).output == {"total": 9900}


def test_ten_maps_in_a_row_transform_every_element_ten_times(sql: Sql) -> None:
    sql.define("flow", "m0[]", *(f"m{n}[] < m{n - 1}" for n in range(1, 10)))
    run = sql.start("flow", [0, 10, 20])
    executed = sql.work("flow", **{f"m{n}": lambda element: element + 1 for n in range(10)})
    assert executed == 30
    assert sql.run(run.run_id).output == {"m9": [10, 20, 30]}


def test_the_second_map_learns_its_count_from_the_first_when_all_is_done(sql: Sql) -> None:
    sql.define("flow", "x[]", "y[] < x")
    run = sql.start("flow", [1, 2, 3, 4])
    tasks = sql.claim("flow")
    sql.complete(tasks[0], 1)
    assert sql.step(run.run_id, "y").initial_tasks is None
    for task in tasks[1:]:
        sql.complete(task, "not an array, and no violation")
    step = sql.step(run.run_id, "y")
    assert (step.status, step.initial_tasks, step.remaining_tasks) == ("started", 4, 4)


def test_a_map_between_single_steps(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list", "after < each")
    run = sql.start("flow", {})
    sql.work("flow", list=[1, 2, 3], each=lambda element: element + 1, after=lambda value: value["each"])
    assert sql.run(run.run_id).output == {"after": [2, 3, 4]}


def test_output_is_refused_on_a_step_that_is_not_completed(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.start("flow", {})
    with pytest.raises(psycopg.errors.CheckViolation, match="output_only_for_completed_or_null"):
        sql.rows("update pgflow.step_states set output = '[]' where step_slug = 'a'")
