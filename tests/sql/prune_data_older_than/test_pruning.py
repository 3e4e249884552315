"""``prune_data_older_than``: deletes what has been over for longer than an interval."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.fixtures.sql import DEADLINE, Sessions, Sql

PROGRESS = (
    "insert into django_pgflow.task_progress (run_id, step_slug, task_index, attempt, done) "
    "values (%(id)s, 'a', 0, 1, 5)"
)


def prune(sql: Sql, interval: str = "30 days") -> None:
    sql.value("select pgflow.prune_data_older_than(retention_interval => %(interval)s)", interval=interval)


def run_to_the_end(sql: Sql, flow_slug: str, days_ago: int) -> UUID:
    """Complete a run; let it be so old."""
    run_id: UUID = sql.start(flow_slug, {}).run_id
    sql.work(flow_slug)
    age_run(sql, run_id, f"{days_ago} days")
    return run_id


def fail_run(sql: Sql, flow_slug: str, days_ago: int) -> UUID:
    """Let a run fail at its first task; let it be so old."""
    run_id: UUID = sql.start(flow_slug, {}).run_id
    for task in sql.claim(flow_slug):
        sql.fail(task)
    age_run(sql, run_id, f"{days_ago} days")
    return run_id


def age_run(sql: Sql, run_id: UUID, ago: str) -> None:
    sql.rows(
        "update pgflow.runs set started_at = started_at - %(ago)s::interval, "
        "completed_at = completed_at - %(ago)s::interval, failed_at = failed_at - %(ago)s::interval "
        "where run_id = %(run_id)s",
        run_id=run_id,
        ago=ago,
    )


def rows_of(sql: Sql, run_id: UUID) -> tuple[int, int, int]:
    """Count the rows of a run in runs, step states and tasks."""
    counts = [
        sql.value(f"select count(*) from pgflow.{table} where run_id = %(run_id)s", run_id=run_id)
        for table in ("runs", "step_states", "step_tasks")
    ]
    return (counts[0], counts[1], counts[2])


def age_archive(sql: Sql, queue: str, ago: str) -> None:
    sql.rows(f"update pgmq.a_{queue} set archived_at = archived_at - %(ago)s::interval", ago=ago)


def test_an_old_completed_run_goes_with_states_and_tasks(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    old, recent = run_to_the_end(sql, "flow", 31), run_to_the_end(sql, "flow", 29)
    prune(sql)
    assert rows_of(sql, old) == (0, 0, 0)
    assert rows_of(sql, recent) == (1, 2, 2)


def test_of_several_flows_only_old_runs_go(sql: Sql) -> None:
    sql.define("first", "a")
    sql.define("second", "a")
    old = [run_to_the_end(sql, slug, 31) for slug in ("first", "second")]
    recent = [run_to_the_end(sql, slug, 1) for slug in ("first", "second")]
    prune(sql)
    assert [rows_of(sql, run_id) for run_id in old] == [(0, 0, 0)] * 2
    assert [rows_of(sql, run_id) for run_id in recent] == [(1, 1, 1)] * 2


def test_a_failed_run_goes_with_children_of_every_status(sql: Sql) -> None:
    sql.define("flow", "a", "each[] < a", "parallel", "never < each parallel", max_attempts=1)
    run_id = sql.start("flow", {}).run_id
    first, parallel = sql.claim("flow")
    sql.complete(first, [1, 2, 3])
    one, two, _ = sql.claim("flow")
    sql.complete(one)
    sql.fail(two)
    assert set(sql.step_statuses(run_id).values()) == {"completed", "failed", "skipped", "created"}
    assert parallel.step_slug == "parallel"
    age_run(sql, run_id, "31 days")
    prune(sql)
    assert rows_of(sql, run_id) == (0, 0, 0)


def test_a_running_run_stays_however_old(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    old = run_to_the_end(sql, "flow", 40)
    running = sql.start("flow", {"x": 1}).run_id
    age_run(sql, running, "40 days")
    prune(sql)
    assert rows_of(sql, old) == (0, 0, 0)
    assert rows_of(sql, running) == (1, 2, 1)
    assert (sql.run(running).status, sql.run(running).input) == ("started", {"x": 1})
    sql.work("flow")
    assert sql.run(running).status == "completed"


def test_of_five_runs_the_two_old_ended_ones_go(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    completed, failed = run_to_the_end(sql, "flow", 40), fail_run(sql, "flow", 40)
    recently_completed, recently_failed = run_to_the_end(sql, "flow", 5), fail_run(sql, "flow", 5)
    running = sql.start("flow", {}).run_id
    age_run(sql, running, "40 days")
    prune(sql)
    left = {row.run_id for row in sql.rows("select run_id from pgflow.runs where flow_slug = 'flow'")}
    assert left == {recently_completed, recently_failed, running}
    assert not {completed, failed} & left
    assert all(rows_of(sql, run_id) == (1, 1, 1) for run_id in left)


@pytest.mark.parametrize(("column", "ending"), [("completed_at", "complete"), ("failed_at", "fail")])
def test_exactly_as_old_as_the_interval_stays(sql: Sql, column: str, ending: str) -> None:
    sql.define("flow", "a", max_attempts=1)
    run_id = (run_to_the_end if ending == "complete" else fail_run)(sql, "flow", 0)
    sql.rows(f"update pgflow.runs set started_at = now() - interval '31 days', {column} = now() - interval '30 days'")
    prune(sql)
    assert rows_of(sql, run_id) == (1, 1, 1)
    sql.rows(f"update pgflow.runs set {column} = {column} - interval '1 microsecond'")
    prune(sql)
    assert rows_of(sql, run_id) == (0, 0, 0)


def test_workers_not_heard_of_since_go_and_one_exactly_that_old_stays(sql: Sql) -> None:
    old, exact, recent = (sql.worker() for _ in range(3))
    for worker_id, ago in ((old, "30 days 1 second"), (exact, "30 days"), (recent, "1 day")):
        sql.rows(
            "update pgflow.workers set last_heartbeat_at = now() - %(ago)s::interval where worker_id = %(id)s",
            id=worker_id,
            ago=ago,
        )
    prune(sql)
    left = {row.worker_id for row in sql.rows("select worker_id from pgflow.workers")}
    assert left & {old, exact, recent} == {exact, recent}


def test_tasks_of_a_pruned_worker_stay_without_one(sql: Sql) -> None:
    sql.define("flow", "a")
    worker_id = sql.worker()
    sql.start("flow", {})
    task = sql.claim_one("flow", worker_id=worker_id)
    sql.rows(
        "update pgflow.workers set last_heartbeat_at = now() - interval '1 year' where worker_id = %(id)s", id=worker_id
    )
    prune(sql)
    assert sql.task(task.run_id, "a").last_worker_id is None
    assert sql.task(task.run_id, "a").status == "started"


def test_archived_messages_past_the_interval_go_and_recent_ones_stay(sql: Sql) -> None:
    for slug in ("first", "second"):
        sql.define(slug, "a")
        sql.start(slug, {})
        sql.work(slug)
    age_archive(sql, "first", "31 days")
    age_archive(sql, "second", "30 days")
    prune(sql)
    assert (len(sql.archived_messages("first")), len(sql.archived_messages("second"))) == (0, 1)


def test_the_archive_of_a_flow_with_capitals_is_pruned(sql: Sql) -> None:
    sql.define("MyFlow", "a")
    sql.start("MyFlow", {})
    sql.work("MyFlow")
    age_archive(sql, "myflow", "31 days")
    prune(sql)
    assert sql.archived_messages("MyFlow") == []


def test_messages_of_a_pruned_run_leave_the_queue(sql: Sql) -> None:
    # Our runs leave none behind; runs of before may.
    sql.define("flow", "a")
    run_id = run_to_the_end(sql, "flow", 31)
    other = sql.start("flow", {}).run_id
    (message_id,) = sql.row("select * from pgmq.send('flow'::text, '{}'::jsonb)")
    sql.rows(
        "update pgflow.step_tasks set message_id = %(message_id)s where run_id = %(run_id)s",
        run_id=run_id,
        message_id=message_id,
    )
    prune(sql)
    assert [message.message["run_id"] for message in sql.queued_messages("flow")] == [str(other)]


def test_a_task_without_a_message_is_no_hindrance(sql: Sql) -> None:
    sql.define("flow", "a")
    run_id = run_to_the_end(sql, "flow", 31)
    sql.rows("update pgflow.step_tasks set message_id = null where run_id = %(run_id)s", run_id=run_id)
    prune(sql)
    assert rows_of(sql, run_id) == (0, 0, 0)


def test_a_flow_without_queue_and_archive_is_no_hindrance(sql: Sql) -> None:
    sql.define("flow", "a")
    run_id = run_to_the_end(sql, "flow", 31)
    sql.value("select pgmq.drop_queue('flow'::text)")
    prune(sql)
    assert rows_of(sql, run_id) == (0, 0, 0)


def test_what_we_keep_beside_a_run_goes_with_it(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    old, recent = fail_run(sql, "flow", 31), fail_run(sql, "flow", 1)
    for run_id in (old, recent):
        sql.rows("insert into django_pgflow.run_details (run_id, meta) values (%(id)s, '{}')", id=run_id)
        sql.rows(PROGRESS, id=run_id)
    prune(sql)
    for table in ("failed_attempts", "task_progress", "run_details"):
        left: list[Any] = sql.rows(f"select run_id from django_pgflow.{table}")
        assert {row.run_id for row in left} == {recent}, table


def test_definitions_stay(sql: Sql) -> None:
    sql.define("flow", "a")
    run_to_the_end(sql, "flow", 31)
    prune(sql)
    assert sql.rows("select step_slug from pgflow.steps where flow_slug = 'flow'") != []
    assert sql.start("flow", {}).status == "started"


def test_a_run_that_is_taken_up_again_meanwhile_stays(sessions: Sessions) -> None:
    retrying, pruning = sessions.open(), sessions.open()
    retrying.define("flow", "a", max_attempts=1)
    run_id = fail_run(retrying, "flow", 31)
    with retrying.transaction():
        assert retrying.retry((run_id, "a", 0)) == ["queued"]
        pruned = sessions.begin(prune, pruning)
        assert sessions.wait_until_blocked(pruning, pruned)
    pruned.result(timeout=DEADLINE)
    assert rows_of(retrying, run_id) == (1, 1, 1)
    retrying.work("flow")
    assert retrying.run(run_id).status == "completed"
