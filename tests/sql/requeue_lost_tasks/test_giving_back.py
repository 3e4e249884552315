"""``requeue_lost_tasks``: what becomes of the tasks of lost workers."""

from __future__ import annotations

import psycopg
import pytest

from tests.fixtures.sql import Sessions, Sql, completed
from tests.sql.requeue_lost_tasks.conftest import Workers


def test_its_tasks_are_queued_again_and_their_attempts_do_not_count(sql: Sql, workers: Workers) -> None:
    sql.define("flow", "each[]", timeout=3600, max_attempts=1)
    run = sql.start("flow", [1, 2])
    worker_id = workers.register()
    sql.claim("flow", worker_id=worker_id)
    assert workers.find() == (0, 1, 2)
    for task in sql.tasks(run.run_id, "each"):
        assert (task.status, task.started_at, task.last_worker_id) == ("queued", None, None)
        assert (task.attempts_count, task.forgiven_count, task.requeued_count) == (1, 1, 1)
        assert task.last_requeued_at == sql.value("select now()")
    other = workers.register()
    again = sql.exchange(["flow"], worker_id=other)
    assert [(task.attempt, task.max_attempts, task.requeued_count) for task in again] == [(2, 2, 1)] * 2
    assert sql.exchange(["flow"], *[completed(task, 1) for task in again], worker_id=other) == []
    assert sql.run(run.run_id).status == "completed"


def test_their_messages_are_visible_at_once(sql: Sql, workers: Workers) -> None:
    sql.define("flow", "a", timeout=3600)
    sql.start("flow", {})
    task = sql.claim_one("flow", worker_id=workers.register())
    sql.rows("select pgflow.set_vt_batch('flow', array[%(id)s::bigint], array[3600])", id=task.msg_id)
    workers.find()
    assert sql.visible_in(task) <= 0


def test_a_worker_that_waits_is_notified(sessions: Sessions) -> None:
    session, listener = sessions.open(), sessions.open()
    workers = Workers(session, session)
    session.define("lost", "a")
    session.start("lost", {})
    dead = workers.register("lost", holds_lock=False, silence=1)
    waiting = workers.register("lost", holds_lock=False)
    session.exchange(["lost"], worker_id=dead)
    assert session.exchange(["lost"], worker_id=waiting) == []
    listener.rows("listen pgflow_queued")
    workers.fall_silent(dead, 1000)
    assert workers.find()[1:] == (1, 1)
    (heard,) = listener.connection.notifies(timeout=10, stop_after=1)
    assert heard.payload == "lost"


def test_a_late_report_of_the_lost_worker_is_refused(sql: Sql, workers: Workers) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    lost, other = workers.register(), workers.register()
    workers.take_lock(other)
    (task,) = sql.exchange(["flow"], worker_id=lost)
    workers.find()
    assert [record.kind for record in sql.exchange([], completed(task, "late"), worker_id=lost)] == ["refused"]
    (again,) = sql.exchange(["flow"], worker_id=other)
    assert [record.kind for record in sql.exchange([], completed(task, "late"), worker_id=lost)] == ["refused"]
    assert sql.exchange([], completed(again, "good"), worker_id=other) == []
    assert sql.run(run.run_id).output == {"a": "good"}


def test_tasks_of_other_workers_and_waiting_ones_are_left_alone(sql: Sql, workers: Workers) -> None:
    sql.define("flow", "each[]", timeout=3600)
    run = sql.start("flow", [1, 2, 3])
    lost, other = workers.register(), workers.register()
    workers.take_lock(other)
    sql.claim("flow", 1, worker_id=lost)
    sql.claim("flow", 1, worker_id=other)
    assert workers.find() == (1, 1, 1)
    first, second, third = sql.tasks(run.run_id, "each")
    assert (first.status, second.status, third.status) == ("queued", "started", "queued")
    assert [task.requeued_count for task in (first, second, third)] == [1, 0, 0]


def test_several_workers_of_several_flows_are_found_at_once(sql: Sql, workers: Workers) -> None:
    for slug in ("flow", "other", "third"):
        sql.define(slug, "a", timeout=3600)
        sql.start(slug, {})
    first, second = workers.register("flow,third"), workers.register("other,gone")
    sql.claim("flow", worker_id=first)
    sql.claim("third", worker_id=first)
    sql.claim("other", worker_id=second)
    assert workers.find() == (0, 2, 3)


def test_a_run_that_somebody_holds_is_left_for_the_next_time(sessions: Sessions) -> None:
    session, holder = sessions.open(), sessions.open()
    workers = Workers(session, session)
    session.define("lost", "a", timeout=3600)
    held, free = session.start("lost", {}), session.start("lost", {})
    worker_id = workers.register("lost", holds_lock=False, silence=1)
    session.claim("lost", worker_id=worker_id)
    workers.fall_silent(worker_id, 1000)
    with holder.transaction():
        holder.rows("select from pgflow.runs where run_id = %(id)s for no key update", id=held.run_id)
        assert workers.find()[1:] == (0, 1)
        assert session.task_statuses(free.run_id, "a") == ["queued"]
        assert session.task_statuses(held.run_id, "a") == ["started"]
        assert not workers.is_stopped(worker_id), "it would never be looked at again"
    assert workers.look()[1:] == (1, 1)
    assert session.task_statuses(held.run_id, "a") == ["queued"]
    assert workers.is_stopped(worker_id)


@pytest.mark.parametrize("status", ["failed", "completed"])
def test_what_it_holds_of_runs_that_have_ended_is_nobodys_business(sql: Sql, workers: Workers, status: str) -> None:
    sql.define("flow", "a", timeout=3600)
    run = sql.start("flow", {})
    worker_id = workers.register()
    sql.claim("flow", worker_id=worker_id)
    sql.rows("update pgflow.runs set status = %(status)s where run_id = %(id)s", status=status, id=run.run_id)
    assert workers.find() == (0, 1, 0)
    assert workers.is_stopped(worker_id)
    assert sql.task_statuses(run.run_id, "a") == ["started"]


MOST = 5
"""Workers that may die with a task in their hands."""


def lose(sql: Sql, workers: Workers, times: int) -> None:
    """Let the only task of a flow be lost that often, each time by another worker."""
    for _ in range(times):
        sql.claim_one("flow", worker_id=workers.register())
        workers.find()


def test_five_workers_may_die_with_a_task(sql: Sql, workers: Workers) -> None:
    sql.define("flow", "a", timeout=3600, max_attempts=1)
    run = sql.start("flow", {})
    lose(sql, workers, MOST)
    task = sql.task(run.run_id, "a")
    assert (task.status, task.requeued_count, task.permanently_stalled_at) == ("queued", MOST, None)
    sql.complete(sql.claim_one("flow"), "well")
    assert sql.run(run.run_id).status == "completed"


def test_with_the_sixth_the_task_is_failed(sql: Sql, workers: Workers) -> None:
    sql.define("flow", "a", timeout=3600, max_attempts=10)
    run = sql.start("flow", {})
    lose(sql, workers, MOST)
    worker_id = workers.register()
    sql.claim_one("flow", worker_id=worker_id)
    assert workers.find() == (0, 1, 0)
    task = sql.task(run.run_id, "a")
    assert (task.status, task.error_message) == (
        "failed",
        "Poison: its worker died while it had the task, as five workers had before",
    )
    assert task.permanently_stalled_at is not None
    assert sql.run(run.run_id).status == "failed"
    assert sql.message_counts("flow") == (0, 1)
    (attempt,) = sql.rows("select * from django_pgflow.failed_attempts where run_id = %(id)s", id=run.run_id)
    assert (attempt.attempt, attempt.worker_id, attempt.error_message) == (MOST + 1, worker_id, task.error_message)


@pytest.mark.parametrize(
    ("when_exhausted", "statuses"),
    [("fail", {"a": "failed", "b": "created"}), ("skip", {"a": "skipped", "b": "started"})],
)
def test_the_step_says_what_follows_from_poison(
    sql: Sql, workers: Workers, when_exhausted: str, statuses: dict[str, str]
) -> None:
    sql.define("flow", timeout=3600)
    sql.add_step("flow", "a", when_exhausted=when_exhausted)
    sql.add_step("flow", "b", ["a"])
    run = sql.start("flow", {})
    lose(sql, workers, MOST + 1)
    assert sql.step_statuses(run.run_id) == statuses


def test_the_silent_count_for_poison_too(sql: Sql, workers: Workers) -> None:
    sql.define("flow", "a", timeout=60)
    run = sql.start("flow", {})
    sql.age(sql.claim_one("flow"), 1000)
    assert sql.requeue_stalled_tasks() == 1
    lose(sql, workers, MOST)
    assert sql.task_statuses(run.run_id, "a") == ["failed"]


def test_an_extended_task_is_not_taken_for_stalled(sql: Sql) -> None:
    sql.define("flow", "a", timeout=60)
    run = sql.start("flow", {})
    sql.age(sql.claim_one("flow"), 1000)
    extend = "update pgflow.step_tasks set extended_until = now() + make_interval(secs => %(seconds)s)"
    sql.rows(extend, seconds=-25)
    assert sql.requeue_stalled_tasks() == 0
    sql.rows(extend, seconds=-31)
    assert sql.requeue_stalled_tasks() == 1
    assert sql.task_statuses(run.run_id, "a") == ["queued"]


@pytest.mark.parametrize("call", ["requeue_lost_tasks()", "worker_lock(gen_random_uuid())"])
def test_not_everybody_may_call_it(sql: Sql, call: str) -> None:
    sql.rows("create role stranger")
    sql.rows("grant usage on schema django_pgflow to stranger")
    sql.rows("set local role stranger")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        sql.rows(f"select django_pgflow.{call}")
