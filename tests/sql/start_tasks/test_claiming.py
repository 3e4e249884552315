"""``start_tasks``: which tasks a call takes, and what it notes on them."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from tests.fixtures.sql import Sql


def test_a_message_becomes_a_started_task(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    record = sql.claim_one("flow")
    task = sql.task(run.run_id, "a")
    assert (record.flow_slug, record.run_id, record.step_slug) == ("flow", run.run_id, "a")
    assert (record.task_index, record.msg_id) == (0, task.message_id)
    assert (task.status, task.attempts_count, task.last_worker_id) == ("started", 1, sql.worker_id)
    assert task.started_at == sql.value("select now()")


@pytest.mark.parametrize("msg_ids", [[], None, [987654321]])
def test_no_known_message_starts_nothing(sql: Sql, msg_ids: list[int] | None) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    assert sql.start_tasks("flow", msg_ids, sql.worker_id) == []
    assert sql.task_statuses(run.run_id, "a") == ["queued"]


def test_unknown_messages_among_known_ones_are_passed_over(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.start("flow", {})
    (msg_id,) = sql.read("flow")
    assert len(sql.start_tasks("flow", [987654321, msg_id, msg_id], sql.worker_id)) == 1


def test_several_messages_start_in_one_call(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", [1, 2, 3])
    sql.claim("flow")
    assert [(task.status, task.attempts_count, task.last_worker_id) for task in sql.tasks(run.run_id, "each")] == [
        ("started", 1, sql.worker_id)
    ] * 3


def test_a_started_task_is_not_returned_again(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    assert sql.start_tasks("flow", [task.msg_id], sql.worker()) == []
    assert sql.task(run.run_id, "a").attempts_count == 1
    assert sql.task(run.run_id, "a").last_worker_id == sql.worker_id


def test_a_completed_task_is_not_returned_again(sql: Sql) -> None:
    sql.define("flow", "a", "b")
    sql.start("flow", {})
    task, _ = sql.claim("flow")
    sql.complete(task)
    assert sql.start_tasks("flow", [task.msg_id], sql.worker_id) == []


def test_a_message_of_another_flow_is_passed_over(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.define("other", "a")
    sql.start("flow", {})
    (msg_id,) = sql.read("flow")
    assert sql.start_tasks("other", [msg_id], sql.worker_id) == []
    assert sql.start_tasks("FLOW", [msg_id], sql.worker_id) == []


def test_equal_message_ids_of_two_flows_are_told_apart(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.define("other", "b")
    runs = {slug: sql.start(slug, {}) for slug in ("flow", "other")}
    assert sql.read("flow") == sql.read("other")
    (task,) = sql.start_tasks("other", [message.msg_id for message in sql.queued_messages("other")], sql.worker_id)
    assert task.step_slug == "b"
    assert sql.task_statuses(runs["flow"].run_id, "a") == ["queued"]


def test_tasks_of_a_run_that_has_ended_are_passed_over(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    (msg_id,) = sql.read("flow")
    sql.rows("update pgflow.runs set status = 'failed' where run_id = %(id)s", id=run.run_id)
    assert sql.start_tasks("flow", [msg_id], sql.worker_id) == []
    assert sql.task_statuses(run.run_id, "a") == ["queued"]


def test_tasks_of_a_skipped_step_are_passed_over(sql: Sql) -> None:
    sql.define("flow", "a", "b")
    run = sql.start("flow", {})
    msg_ids = sql.read("flow")
    sql.rows(
        "update pgflow.step_states set status = 'skipped', skip_reason = 'x', remaining_tasks = null "
        "where run_id = %(id)s and step_slug = 'a'",
        id=run.run_id,
    )
    assert [task.step_slug for task in sql.start_tasks("flow", msg_ids, sql.worker_id)] == ["b"]
    assert sql.task_statuses(run.run_id, "a") == ["queued"]


def test_different_workers_are_noted_on_their_own_tasks(sql: Sql) -> None:
    sql.define("flow", "each[]")
    run = sql.start("flow", [1, 2])
    workers = [sql.worker(), sql.worker()]
    for worker_id in workers:
        sql.claim("flow", 1, worker_id=worker_id)
    assert [task.last_worker_id for task in sql.tasks(run.run_id, "each")] == workers


def test_a_worker_need_not_be_named(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    assert len(sql.start_tasks("flow", sql.read("flow"), None)) == 1
    assert sql.task(run.run_id, "a").last_worker_id is None


def test_an_unknown_worker_is_refused_and_starts_nothing(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as caught, sql.transaction():
        sql.start_tasks("flow", sql.read("flow"), uuid4())
    assert str(caught.value).startswith(
        'insert or update on table "step_tasks" violates foreign key constraint "step_tasks_last_worker_id_fkey"'
    )
    assert sql.task_statuses(run.run_id, "a") == ["queued"]


def test_a_retried_task_keeps_its_error_and_counts_on(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"), "first try")
    sql.hurry("flow")
    sql.claim_one("flow")
    task = sql.task(run.run_id, "a")
    assert (task.status, task.attempts_count, task.error_message) == ("started", 2, "first try")


def test_the_path_of_a_task_from_queued_to_failed(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=2, base_delay=0)
    run = sql.start("flow", {})
    seen = sql.task_statuses(run.run_id, "a")
    for _ in range(2):
        task = sql.claim_one("flow")
        seen += sql.task_statuses(run.run_id, "a")
        sql.fail(task)
        seen += sql.task_statuses(run.run_id, "a")
    assert seen == ["queued", "started", "queued", "started", "failed"]
    assert sql.task(run.run_id, "a").attempts_count == 2
