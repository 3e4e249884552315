"""Runs, then step states, then tasks, then queue rows: who waits for one of these holds nothing that comes later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql as text

from tests.fixtures.sql import DEADLINE, Sessions, Sql, completed, failed, released

ORDER = {
    "run": "select from pgflow.runs where flow_slug = 'locks'",
    "step": "select from pgflow.step_states where flow_slug = 'locks' and step_slug = 'each'",
    "task": "select from pgflow.step_tasks where flow_slug = 'locks' and step_slug = 'each' and task_index = 0",
    "message": "select from pgmq.q_locks",
}


def cancel(sql: Sql, task: Any) -> Any:
    return sql.call("django_pgflow.cancel_runs", run_ids=[task.run_id])


def resume(sql: Sql, task: Any) -> Any:
    return sql.call("django_pgflow.resume_runs", run_ids=[task.run_id])


def retry(sql: Sql, task: Any) -> Any:
    return sql.retry((task.run_id, task.step_slug, task.task_index))


def give_up(sql: Sql, task: Any) -> Any:
    return sql.requeue_stalled_tasks()


def exchanging(report: Any) -> Callable[[Sql, Any], Any]:
    return lambda sql, task: sql.exchange(["locks"], report(task), capacity=0)


VERBS = {
    "complete_task": lambda sql, task: sql.complete(task, 1),
    "fail_task": lambda sql, task: sql.fail(task),
    "completed": exchanging(completed),
    "failed": exchanging(failed),
    "released": exchanging(released),
    "cancel_runs": cancel,
    "resume_runs": resume,
    "retry_tasks": retry,
    "requeue_stalled_tasks": give_up,
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("held", list(ORDER)[:-1])
def test_who_waits_holds_nothing_that_comes_later(sessions: Sessions, verb: str, held: str) -> None:
    holder, caller, prober = sessions.open(), sessions.open(), sessions.open()
    holder.define("locks", "each[]", max_attempts=1)
    holder.start("locks", [1, 2])
    task = caller.exchange(["locks"], capacity=1)[0]
    if verb in {"resume_runs", "retry_tasks"}:
        holder.fail(task)
    if verb == "requeue_stalled_tasks":
        holder.age(task, 10_000)
        holder.rows("update pgflow.step_tasks set requeued_count = 3 where flow_slug = 'locks'")
    with holder.transaction():
        holder.rows(ORDER[held] + " for update")
        calling = sessions.begin(VERBS[verb], caller, task)
        blocked = sessions.wait_until_blocked(caller, calling)
        # Stalled tasks of a run that another holds are left to the next pass.
        assert blocked or (verb, held) == ("requeue_stalled_tasks", "run")
        later = list(ORDER)[list(ORDER).index(held) + 1 :]
        assert [name for name in later if not _is_free(prober, name)] == []
    calling.result(timeout=DEADLINE)


def _is_free(sql: Sql, name: str) -> bool:
    try:
        sql.rows(text.SQL(ORDER[name] + " for update nowait"))
    except psycopg.errors.LockNotAvailable:
        return False
    return True
