"""``complete_task``: a map step starts when the step before it has an array."""

from __future__ import annotations

import psycopg
import pytest

from tests.fixtures.sql import Sql


def test_a_map_gets_a_task_for_each_element_of_the_array(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), ["a", "b", "c"])
    step = sql.step(run.run_id, "each")
    assert (step.status, step.initial_tasks, step.remaining_tasks, step.remaining_deps) == ("started", 3, 3, 0)
    assert len(sql.tasks(run.run_id, "each")) == 3


def test_two_maps_behind_one_step_each_get_their_tasks(sql: Sql) -> None:
    sql.define("flow", "list", "x[] < list", "y[] < list")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), [1, 2])
    assert [sql.step(run.run_id, slug).remaining_tasks for slug in ("x", "y")] == [2, 2]


def test_an_empty_array_completes_the_map_and_the_run(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), [])
    step = sql.step(run.run_id, "each")
    assert (step.status, step.initial_tasks, step.remaining_tasks, step.output) == ("completed", 0, 0, [])
    assert step.started_at == step.completed_at
    assert sql.tasks(run.run_id, "each") == []
    ended = sql.run(run.run_id)
    assert (ended.status, ended.remaining_steps, ended.output) == ("completed", 0, {"each": []})


def test_an_empty_array_runs_through_maps_to_the_step_behind_them(sql: Sql) -> None:
    sql.define("flow", "list", "x[] < list", "y[] < x", "after < y list")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), [])
    assert sql.step_statuses(run.run_id) == {
        "list": "completed",
        "x": "completed",
        "y": "completed",
        "after": "started",
    }
    assert sql.run(run.run_id).remaining_steps == 1
    assert sql.claim_one("flow").input == {"run": {}, "list": [], "y": []}


@pytest.mark.parametrize("length", [50, 100])
def test_a_chain_of_empty_maps_of_any_length_collapses(sql: Sql, length: int) -> None:
    sql.define("flow", "list", "m0[] < list", *(f"m{n}[] < m{n - 1}" for n in range(1, length)))
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), [])
    assert sql.run(run.run_id).output == {f"m{length - 1}": []}


def test_an_empty_map_waits_for_nothing_and_its_join_for_the_rest(sql: Sql) -> None:
    sql.define("flow", "list", "slow", "each[] < list", "join < each slow")
    run = sql.start("flow", {})
    tasks = {task.step_slug: task for task in sql.claim("flow")}
    sql.complete(tasks["list"], [])
    assert (sql.step(run.run_id, "join").status, sql.step(run.run_id, "join").remaining_deps) == ("created", 1)
    sql.complete(tasks["slow"], "done")
    assert sql.claim_one("flow").input == {"run": {}, "each": [], "slow": "done"}


def test_a_step_cannot_be_started_without_a_count_of_tasks(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list")
    sql.start("flow", {})
    with pytest.raises(psycopg.errors.CheckViolation, match="initial_tasks_known_when_started"):
        sql.rows("update pgflow.step_states set status = 'started', remaining_deps = 0 where step_slug = 'each'")
