"""``exchange``: what its reports do."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.fixtures.sql import SQL_NULL, Sql, completed, failed, released, report


def test_a_completed_task_ends_its_step_and_run(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    assert sql.exchange(["flow"], completed(task, {"x": [1]})) == []
    assert (sql.task(run.run_id, "a").status, sql.step(run.run_id, "a").status) == ("completed", "completed")
    ended = sql.run(run.run_id)
    assert (ended.status, ended.output, ended.remaining_steps) == ("completed", {"a": {"x": [1]}}, 0)
    assert sql.message_counts("flow") == (0, 1)


@pytest.mark.parametrize(("output", "stored"), [(None, "null"), (SQL_NULL, None)])
def test_json_null_and_no_output_are_kept_apart(sql: Sql, output: Any, stored: str | None) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    sql.exchange(["flow"], completed(task, output))
    text = sql.value("select output::text from pgflow.step_states where run_id = %(id)s", id=run.run_id)
    assert text == stored


def test_the_next_step_is_claimed_by_the_same_call(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", "c < b")
    run = sql.start("flow", 1)
    tasks = sql.exchange(["flow"])
    path = []
    while tasks:
        (task,) = tasks
        path.append((task.step_slug, task.input))
        tasks = sql.exchange(["flow"], completed(task, task.step_slug.upper()))
    assert path == [("a", {"run": 1}), ("b", {"run": 1, "a": "A"}), ("c", {"run": 1, "b": "B"})]
    assert sql.run(run.run_id).output == {"c": "C"}


def test_a_released_map_is_claimed_by_the_same_call(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list", "after < each")
    sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    tasks = sql.exchange(["flow"], completed(task, ["x", "y"]))
    assert [(task.step_slug, task.input) for task in tasks] == [("each", "x"), ("each", "y")]


def test_a_whole_map_is_reported_at_once(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", list(range(50)))
    tasks = sql.exchange(["flow"], capacity=50)
    sql.exchange(["flow"], *(completed(task, task.input * 2) for task in reversed(tasks)))
    assert sql.run(run.run_id).output == {"each": [n * 2 for n in range(50)]}


def test_tasks_of_many_runs_and_flows_are_reported_at_once(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    sql.define("other", "x")
    runs = [sql.start("flow", n) for n in range(3)]
    others = [sql.start("other", n) for n in range(3)]
    tasks = sql.exchange(["flow", "other"])
    assert len(tasks) == 6
    following = sql.exchange(["flow", "other"], *(completed(task, task.input["run"]) for task in tasks))
    assert {task.step_slug for task in following} == {"b"}
    # Messages that are sent together come in no order of their runs.
    assert sorted(task.input["a"] for task in following) == [0, 1, 2]
    assert {task.input["run"] == task.input["a"] for task in following} == {True}
    assert [sql.run(run.run_id).output for run in others] == [{"x": n} for n in range(3)]
    assert {sql.run(run.run_id).status for run in runs} == {"started"}


def test_both_parents_of_a_join_may_be_in_one_call(sql: Sql) -> None:
    sql.define("flow", "a", "b", "join < a b")
    run = sql.start("flow", 0)
    tasks = sql.exchange(["flow"])
    (join,) = sql.exchange(["flow"], *(completed(task, task.step_slug) for task in tasks))
    assert join.input == {"run": 0, "a": "a", "b": "b"}
    assert sql.step(run.run_id, "join").remaining_deps == 0
    assert sql.run(run.run_id).remaining_steps == 1


def test_an_empty_array_runs_through_to_the_end(sql: Sql) -> None:
    sql.define("flow", "list", "x[] < list", "y[] < x")
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    assert sql.exchange(["flow"], completed(task, [])) == []
    assert sql.run(run.run_id).output == {"y": []}


def test_a_failure_with_attempts_left_is_retried_later(sql: Sql) -> None:
    sql.define("flow", "a", base_delay=50)
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    assert sql.exchange(["flow"], failed(task, "once")) == []
    row = sql.task(run.run_id, "a")
    assert (row.status, row.error_message, row.attempts_count) == ("queued", "once", 1)
    assert sql.visible_in(row) == pytest.approx(100, abs=2)
    sql.hurry("flow")
    (again,) = sql.exchange(["flow"])
    assert again.attempt == 2


def test_the_last_failure_ends_the_run_and_closes_the_rest(sql: Sql) -> None:
    sql.define("flow", "each[]", "other", max_attempts=1)
    run = sql.start("flow", [1, 2])
    tasks = {(task.step_slug, task.task_index): task for task in sql.exchange(["flow"])}
    assert sql.exchange(["flow"], failed(tasks["each", 0], "broken")) == []
    assert sql.run(run.run_id).status == "failed"
    assert sql.task_statuses(run.run_id, "each") == ["failed", "cancelled"]
    assert sql.task_statuses(run.run_id, "other") == ["cancelled"]
    assert (sql.step(run.run_id, "other").status, sql.step(run.run_id, "other").skip_reason) == (
        "skipped",
        "run_failed",
    )
    assert sql.message_counts("flow") == (0, 3)


def test_of_two_last_failures_in_one_call_the_run_fails_once(sql: Sql) -> None:
    sql.define("flow", "a", "b", max_attempts=1)
    run = sql.start("flow", {})
    tasks = sql.exchange(["flow"])
    sql.exchange(["flow"], *(failed(task) for task in tasks))
    assert sql.run(run.run_id).status == "failed"
    assert "started" not in sql.step_statuses(run.run_id).values()
    assert not {"queued", "started"} & {*sql.task_statuses(run.run_id, "a"), *sql.task_statuses(run.run_id, "b")}
    assert sql.queued_messages("flow") == []


def test_a_failure_and_a_success_of_one_map_in_one_call(sql: Sql) -> None:
    sql.define("flow", "each[]", max_attempts=1)
    run = sql.start("flow", [1, 2])
    one, two = sql.exchange(["flow"])
    sql.exchange(["flow"], failed(one), completed(two, "done"))
    assert sql.run(run.run_id).status == "failed"
    first, second = sql.task_statuses(run.run_id, "each")
    assert first == "failed"
    # Whether the success came before the end of the run is for the core to say.
    assert second in {"completed", "cancelled"}


def test_a_wrong_type_before_a_map_fails_the_run(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list")
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    sql.exchange(["flow"], completed(task, {"not": "an array"}))
    assert sql.run(run.run_id).status == "failed"
    row = sql.task(run.run_id, "list")
    assert (row.status, row.output) == ("failed", {"not": "an array"})
    assert row.error_message == "[TYPE_VIOLATION] Produced object instead of array"


def test_a_wrong_type_of_one_run_does_not_disturb_another(sql: Sql) -> None:
    sql.define("flow", "list", "each[] < list")
    runs = [sql.start("flow", n) for n in range(2)]
    tasks = sql.exchange(["flow"])
    following = sql.exchange(["flow"], completed(tasks[0], "text"), completed(tasks[1], ["x"]))
    assert [sql.run(run.run_id).status for run in runs] == ["failed", "started"]
    assert [(task.run_id, task.input) for task in following] == [(runs[1].run_id, "x")]


def test_a_released_task_is_queued_at_once_and_its_attempt_does_not_count(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1, base_delay=1000)
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    assert sql.exchange(["flow"], released(task), capacity=0) == []
    row = sql.task(run.run_id, "a")
    assert (row.status, row.started_at, row.error_message) == ("queued", None, None)
    assert row.attempts_count - row.forgiven_count == 0
    (again,) = sql.exchange(["flow"], worker_id=sql.worker())
    # The number of an attempt never comes twice; that it did not count shows in the maximum.
    assert (again.attempt, again.max_attempts, again.msg_id) == (2, 2, task.msg_id)
    assert sql.run(run.run_id).status == "started"


def test_a_task_can_be_released_again_and_again(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    for _ in range(10):
        (task,) = sql.exchange(["flow"])
        sql.exchange(["flow"], released(task), capacity=0)
    (task,) = sql.exchange(["flow"])
    sql.exchange(["flow"], completed(task, "at last"))
    assert sql.run(run.run_id).output == {"a": "at last"}


def test_all_outcomes_may_be_mixed(sql: Sql) -> None:
    sql.define("flow", "each[]", base_delay=100)
    run = sql.start("flow", ["x", "y", "z"])
    one, two, three = sql.exchange(["flow"])
    sql.exchange(["flow"], completed(one), failed(two), released(three), capacity=0)
    assert sql.task_statuses(run.run_id, "each") == ["completed", "queued", "queued"]
    assert [task.attempts_count - task.forgiven_count for task in sql.tasks(run.run_id, "each")] == [1, 1, 0]
    assert sql.step(run.run_id, "each").remaining_tasks == 2


def test_an_outcome_that_does_not_exist_is_refused(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    with pytest.raises(psycopg.errors.RaiseException, match="not: exploded"), sql.transaction():
        sql.exchange(["flow"], report(task, "exploded"))
    assert sql.task(run.run_id, "a").status == "started"


def test_without_reports_and_capacity_nothing_happens(sql: Sql) -> None:
    assert sql.exchange([], capacity=0) == []
