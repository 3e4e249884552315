"""``fail_task`` with attempts left: the task waits and is tried again."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sql


def test_the_task_is_queued_again_with_its_error(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    started = sql.claim_one("flow")
    before = sql.task(run.run_id, "a")
    row = sql.fail(started, "no route to host")
    assert (row.status, row.error_message, row.attempts_count) == ("queued", "no route to host", 1)
    assert (row.started_at, row.failed_at, row.completed_at) == (None, None, None)
    assert (row.queued_at, row.last_worker_id) == (before.queued_at, sql.worker_id)
    assert row == sql.task(run.run_id, "a")


def test_step_and_run_go_on_without_an_error(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    before = sql.run(run.run_id), sql.steps(run.run_id)
    sql.fail(sql.claim_one("flow"))
    assert (sql.run(run.run_id), sql.steps(run.run_id)) == before


def test_the_message_stays_the_same_and_in_the_queue(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    assert sql.fail(task).message_id == task.msg_id
    assert [message.msg_id for message in sql.queued_messages("flow")] == [task.msg_id]
    assert sql.archived_messages("flow") == []
    assert sql.task(run.run_id, "a").message_id == task.msg_id


def test_a_retry_waits_longer_each_attempt(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=5, base_delay=5)
    sql.start("flow", {})
    waits = []
    for _ in range(4):
        task = sql.claim_one("flow")
        sql.fail(task)
        waits.append(sql.visible_in(task))
        sql.hurry("flow")
    assert waits == pytest.approx([10, 20, 40, 80], abs=2)


def test_the_base_delay_of_the_step_goes_before_that_of_the_flow(sql: Sql) -> None:
    sql.define("flow", base_delay=5)
    sql.add_step("flow", "a", base_delay=100)
    sql.add_step("flow", "b", base_delay=0)
    sql.start("flow", {})
    waits = []
    for task in sql.claim("flow"):
        sql.fail(task)
        waits.append(sql.visible_in(task))
    assert waits == pytest.approx([200, 0], abs=2)


def test_without_a_delay_the_task_can_be_claimed_at_once(sql: Sql) -> None:
    sql.define("flow", "a", base_delay=0)
    sql.start("flow", {})
    sql.fail(sql.claim_one("flow"))
    assert sql.claim_one("flow").step_slug == "a"


def test_a_delay_beyond_the_integer_range_is_capped(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1000, base_delay=5)
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    for attempts_count in (29, 31, 64, 500):
        sql.rows(
            "update pgflow.step_tasks set attempts_count = %(n)s, status = 'started', started_at = queued_at",
            n=attempts_count,
        )
        assert sql.fail(task).status == "queued"
        assert sql.visible_in(task) > 3600
    assert sql.task(run.run_id, "a").status == "queued"


def test_a_change_of_the_definition_counts_for_running_tasks(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.rows("update pgflow.flows set opt_max_attempts = 2 where flow_slug = 'flow'")
    assert sql.fail(task).status == "queued"


def test_each_task_of_a_map_has_its_own_attempts(sql: Sql) -> None:
    sql.define("flow", "each[]", max_attempts=2, base_delay=0)
    run = sql.start("flow", ["x", "y"])
    for task in sql.claim("flow"):
        sql.fail(task, f"{task.input} broke")
    assert sql.task_statuses(run.run_id, "each") == ["queued", "queued"]
    assert [task.error_message for task in sql.tasks(run.run_id, "each")] == ["x broke", "y broke"]
    assert sql.step(run.run_id, "each").remaining_tasks == 2


def test_the_last_error_replaces_the_one_before(sql: Sql) -> None:
    sql.define("flow", "a", base_delay=0)
    run = sql.start("flow", {})
    for error in ("first", "second"):
        sql.fail(sql.claim_one("flow"), error)
    assert sql.task(run.run_id, "a").error_message == "second"
