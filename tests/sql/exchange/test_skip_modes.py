"""``exchange``: steps that end in different ways by the reports of one call."""

from __future__ import annotations

from tests.fixtures.platform import Realtime
from tests.fixtures.sql import Sql, completed, failed


def define(sql: Sql, *, a: str = "fail", b: str = "fail") -> None:
    """Define two roots that give up after one attempt, each in its mode, a step behind each and one behind both."""
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "a", when_exhausted=a)
    sql.add_step("flow", "b", when_exhausted=b)
    sql.add_step("flow", "after_a", ["a"])
    sql.add_step("flow", "after_b", ["b"])
    sql.add_step("flow", "join", ["a", "b"])


def test_a_completion_and_a_skip_release_their_join(sql: Sql) -> None:
    define(sql, b="skip")
    run = sql.start("flow", 0)
    a, b = sql.exchange(["flow"])
    tasks = sql.exchange(["flow"], completed(a, 1), failed(b))
    assert {task.step_slug: task.input for task in tasks} == {
        "after_a": {"run": 0, "a": 1},
        "after_b": {"run": 0},
        "join": {"run": 0, "a": 1},
    }
    assert sql.run(run.run_id).remaining_steps == 3


def test_two_skips_release_their_join(sql: Sql) -> None:
    define(sql, a="skip", b="skip")
    run = sql.start("flow", 0)
    a, b = sql.exchange(["flow"])
    tasks = sql.exchange(["flow"], failed(a), failed(b))
    assert {task.step_slug for task in tasks} == {"after_a", "after_b", "join"}
    assert (sql.step(run.run_id, "join").remaining_deps, sql.run(run.run_id).remaining_steps) == (0, 3)


def test_a_cascade_takes_the_join_though_a_completion_released_it(sql: Sql) -> None:
    define(sql, b="skip-cascade")
    run = sql.start("flow", 0)
    a, b = sql.exchange(["flow"])
    tasks = sql.exchange(["flow"], completed(a), failed(b))
    assert [task.step_slug for task in tasks] == ["after_a"]
    assert sql.step_statuses(run.run_id) == {
        "a": "completed",
        "b": "skipped",
        "after_a": "started",
        "after_b": "skipped",
        "join": "skipped",
    }
    assert sql.run(run.run_id).remaining_steps == 1


def test_a_skip_and_a_cascade_skip_the_join_once(sql: Sql) -> None:
    define(sql, a="skip", b="skip-cascade")
    run = sql.start("flow", 0)
    a, b = sql.exchange(["flow"])
    sql.exchange(["flow"], failed(a), failed(b))
    reasons = {slug: step.skip_reason for slug, step in sql.steps(run.run_id).items()}
    assert reasons == {
        "a": "handler_failed",
        "b": "handler_failed",
        "after_a": None,
        "after_b": "dependency_skipped",
        "join": "dependency_skipped",
    }
    assert sql.run(run.run_id).remaining_steps == 1


def test_two_cascades_can_end_the_run(sql: Sql) -> None:
    define(sql, a="skip-cascade", b="skip-cascade")
    run = sql.start("flow", 0)
    a, b = sql.exchange(["flow"])
    assert sql.exchange(["flow"], failed(a), failed(b)) == []
    ended = sql.run(run.run_id)
    assert (ended.status, ended.remaining_steps, ended.output) == ("completed", 0, None)
    assert sql.message_counts("flow") == (0, 2)


def test_a_failure_of_the_run_starts_nothing_that_a_skip_released(sql: Sql, realtime: Realtime) -> None:
    define(sql, a="skip")
    run = sql.start("flow", 0)
    a, b = sql.exchange(["flow"])
    realtime.forget()
    assert sql.exchange(["flow"], failed(a), failed(b)) == []
    assert sql.step_statuses(run.run_id) == {
        "a": "skipped",
        "b": "failed",
        "after_a": "created",
        "after_b": "created",
        "join": "created",
    }
    assert realtime.names() == ["step:a:skipped", "step:b:failed", "run:failed"]
    assert sql.message_counts("flow") == (0, 2)


def test_a_retry_of_the_failed_step_goes_on_from_there_and_the_skipped_one_stays(sql: Sql) -> None:
    define(sql, a="skip")
    run = sql.start("flow", 0)
    a, b = sql.exchange(["flow"])
    sql.exchange(["flow"], failed(a), failed(b))
    assert sql.retry((run.run_id, "b", 0), (run.run_id, "a", 0)) == ["queued", "run_not_failed"]
    assert {task.step_slug for task in sql.exchange(["flow"], capacity=10)} == {"b", "after_a"}
    assert sql.step(run.run_id, "a").status == "skipped"


def test_the_failed_task_of_a_skipped_step_cannot_be_retried(sql: Sql) -> None:
    define(sql, a="skip")
    run = sql.start("flow", 0)
    a, _ = sql.exchange(["flow"])
    sql.exchange(["flow"], failed(a))
    assert sql.retry((run.run_id, "a", 0)) == ["run_not_failed"]


def test_a_task_to_be_retried_is_closed_with_its_step(sql: Sql) -> None:
    sql.define("flow", max_attempts=2)
    sql.add_step("flow", "each", step_type="map", when_exhausted="skip")
    run = sql.start("flow", [1, 2])
    sql.rows("update pgflow.step_tasks set attempts_count = 1, forgiven_count = 0 where task_index = 0")
    first, second = sql.exchange(["flow"])
    sql.exchange(["flow"], failed(first), failed(second))
    assert sql.task_statuses(run.run_id, "each") == ["failed", "skipped"]
    assert (sql.run(run.run_id).status, sql.message_counts("flow")) == ("completed", (0, 2))


def test_runs_that_end_differently_do_not_disturb_each_other(sql: Sql) -> None:
    define(sql, b="skip-cascade")
    runs = [sql.start("flow", n) for n in range(3)]
    tasks = {(task.run_id, task.step_slug): task for task in sql.exchange(["flow"])}
    first, second, third = (run.run_id for run in runs)
    sql.exchange(
        ["flow"],
        completed(tasks[first, "a"]),
        failed(tasks[second, "a"]),
        failed(tasks[third, "b"]),
        completed(tasks[first, "b"]),
    )
    assert [sql.run(run_id).status for run_id in (first, second, third)] == ["started", "failed", "started"]
    assert [sql.run(run_id).remaining_steps for run_id in (first, second, third)] == [3, 5, 2]
    assert set(sql.step_statuses(first).values()) == {"completed", "started"}


def test_a_condition_is_decided_after_all_reports_of_the_call(sql: Sql) -> None:
    sql.define("flow", "a", "b")
    sql.add_step("flow", "join", ["a", "b"], required_input_pattern={"a": 1, "b": 2})
    run = sql.start("flow", 0)
    a, b = sql.exchange(["flow"])
    sql.exchange(["flow"], completed(a, 1), completed(b, 2))
    assert sql.step(run.run_id, "join").status == "started"


def test_a_condition_that_fails_one_run_leaves_the_others_in_the_call(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.add_step("flow", "b", ["a"], required_input_pattern={"a": 1}, when_unmet="fail")
    first, second = sql.start("flow", 0), sql.start("flow", 0)
    tasks = {task.run_id: task for task in sql.exchange(["flow"])}
    (claimed,) = sql.exchange(["flow"], completed(tasks[first.run_id], 9), completed(tasks[second.run_id], 1))
    assert (claimed.run_id, claimed.step_slug) == (second.run_id, "b")
    assert (sql.run(first.run_id).status, sql.run(second.run_id).status) == ("failed", "started")
