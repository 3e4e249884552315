"""``start_flow``: maps over an empty array complete in the same call."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sql


def test_a_lone_empty_map_completes_the_run(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", [])
    assert (run.status, run.remaining_steps, run.output) == ("completed", 0, {"each": []})
    assert run.completed_at is not None
    assert sql.tasks(run.run_id, "each") == []
    assert sql.queued_messages("flow") == []


def test_an_empty_map_has_its_output_and_both_timestamps(sql: Sql) -> None:
    sql.define("flow", "each[]", "after < each")
    run = sql.start("flow", [])
    step = sql.step(run.run_id, "each")
    assert (step.status, step.output, step.initial_tasks, step.remaining_tasks) == ("completed", [], 0, 0)
    assert step.started_at == step.completed_at == sql.value("select now()")


def test_a_chain_of_empty_maps_collapses(sql: Sql) -> None:
    sql.define("flow", "a[]", "b[] < a", "c[] < b")
    run = sql.start("flow", [])
    assert (run.status, run.output) == ("completed", {"c": []})
    assert {step.status for step in sql.steps(run.run_id).values()} == {"completed"}
    assert [sql.step(run.run_id, slug).initial_tasks for slug in "abc"] == [0, 0, 0]
    assert [sql.step(run.run_id, slug).output for slug in "abc"] == [[], [], []]


@pytest.mark.parametrize("length", [49, 50, 51, 120])
def test_a_chain_of_any_length_collapses(sql: Sql, length: int) -> None:
    sql.define("flow", "s0[]", *(f"s{n}[] < s{n - 1}" for n in range(1, length)))
    run = sql.start("flow", [])
    assert (run.status, run.output) == ("completed", {f"s{length - 1}": []})


def test_an_empty_map_releases_the_steps_behind_it(sql: Sql) -> None:
    sql.define("flow", "each[]", "x < each", "y < each")
    run = sql.start("flow", [])
    assert (run.status, run.remaining_steps) == ("started", 2)
    assert sql.step_statuses(run.run_id) == {"each": "completed", "x": "started", "y": "started"}
    assert len(sql.queued_messages("flow")) == 2


def test_two_empty_maps_release_their_join_once(sql: Sql) -> None:
    sql.define("flow", "x[]", "y[]", "join < x y")
    run = sql.start("flow", [])
    assert (run.status, run.remaining_steps) == ("started", 1)
    step = sql.step(run.run_id, "join")
    assert (step.status, step.remaining_deps) == ("started", 0)
    assert len(sql.tasks(run.run_id, "join")) == 1


def test_the_step_behind_an_empty_map_gets_an_empty_array(sql: Sql) -> None:
    sql.define("flow", "each[]", "after < each")
    sql.start("flow", [])
    assert sql.claim_one("flow").input["each"] == []


def test_an_empty_map_beside_a_waiting_one_does_not_release_their_join(sql: Sql) -> None:
    sql.define("flow", "each[]", "slow", "join < each slow")
    run = sql.start("flow", [])
    step = sql.step(run.run_id, "join")
    assert (step.status, step.remaining_deps) == ("created", 1)
