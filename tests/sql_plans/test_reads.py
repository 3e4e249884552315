"""No function of the engine reads rows of other runs, however many there are and whenever it was planned."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from django_pgflow.db.core.current import Core
from django_pgflow.db.records import ProgressReport
from tests.benchmarks import history
from tests.fixtures.sql import Sql, completed, failed, json, report

FLOW = "plans"
TABLES = ("runs", "step_states", "step_tasks")
RUNS = 25_000
"""Finished runs of four tasks each."""
SIZE = 20
"""Elements of the live runs."""
LIMIT = 1_000
"""Rows of one table that a call on one run of that size may read: many times its own, few of the others'."""


class Watch:
    """Notes the calls that read too much."""

    def __init__(self, sql: Sql) -> None:
        self.sql = sql
        self.found: dict[str, str] = {}

    def reads(self) -> dict[str, tuple[int, int, int]]:
        """Count sequential scans, the rows that they read, and the rows found by an index, in this transaction."""
        rows = self.sql.rows(
            "select relname, seq_scan, seq_tup_read, coalesce(idx_tup_fetch, 0) as idx_tup_fetch"
            " from pg_stat_xact_user_tables where schemaname = 'pgflow' and relname = any(%(tables)s)",
            tables=list(TABLES),
        )
        return {row.relname: (row.seq_scan, row.seq_tup_read, row.idx_tup_fetch) for row in rows}

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Watch the calls within."""
        before = self.reads()
        yield
        after = self.reads()
        for table in TABLES:
            scans, scanned, fetched = (now - then for now, then in zip(after[table], before[table], strict=True))
            if scans or fetched > LIMIT:
                self.found[f"{name}, {table}"] = f"{scans} scans of {scanned} rows, {fetched} rows by an index"


def asked_for_handlers(sql: Sql, watch: Watch, held: list[Any]) -> None:
    """Ask what a worker asks once a second for the handlers that it executes."""
    worker_id, core = sql.worker_id, Core()
    # As a worker's session would in the long run: prepared, and planned without a look at what is asked for.
    sql.rows("set local plan_cache_mode = force_generic_plan")
    with watch("lost_tasks"):
        assert sql.ask(core.lost_tasks(worker_id, held)) == []
    with watch("extend_task"):
        sql.ask(core.extend_task(worker_id, held[0], 60))
    progress = [
        ProgressReport(
            run_id=task.run_id,
            step_slug=task.step_slug,
            task_index=task.task_index,
            attempt=task.attempt,
            done=1,
            total=None,
            text="",
        )
        for task in held
    ]
    with watch("save_progress"):
        sql.ask(core.save_progress(worker_id, progress))
    assert sql.value("select count(*) from django_pgflow.task_progress") == len(held)
    sql.rows("delete from django_pgflow.task_progress")
    sql.rows("set local plan_cache_mode = auto")


def call_all(sql: Sql) -> dict[str, str]:
    """Call the functions of the engine on live runs, and return those that read too much."""
    watch = Watch(sql)
    elements = list(range(SIZE))
    with watch("start_flow"):
        run = sql.start(FLOW, elements)

    with watch("start_tasks"):
        tasks = sql.claim(FLOW, 3)
    with watch("complete_task"):
        sql.complete(tasks[0])
    with watch("fail_task"):
        sql.fail(tasks[1])
    sql.age(tasks[2], 1000)
    with watch("requeue_stalled_tasks"):
        assert sql.requeue_stalled_tasks() == 1

    with watch("exchange that claims"):
        held = sql.exchange([FLOW], capacity=5)
    asked_for_handlers(sql, watch, held)
    with watch("exchange that reports"):
        sql.exchange(
            [FLOW],
            completed(held[0]),
            failed(held[1]),
            report(held[2], "released"),
            report(held[3], "completed", output="1", attempt=9),
            capacity=5,
        )
    with watch("exchange that fails a run"):
        sql.exchange([FLOW], report(held[4], "exhausted"), capacity=0)
    with watch("retry_tasks"):
        assert sql.retry((run.run_id, held[4].step_slug, held[4].task_index)) == ["queued"]
    with watch("cancel_runs"):
        sql.call("django_pgflow.cancel_runs", run_ids=[run.run_id])
    with watch("resume_runs"):
        sql.call("django_pgflow.resume_runs", run_ids=[run.run_id])
    with watch("the rest of a run"):
        sql.work(FLOW)
    assert sql.run(run.run_id).status == "completed"
    for name in ("start_ready_steps", "maybe_complete_run", "cascade_complete_taskless_steps"):
        with watch(name):
            sql.call(f"pgflow.{name}", run_id=run.run_id)

    with watch("restart_run"):
        sql.call("django_pgflow.restart_run", run_id=run.run_id)
    with watch("start_flows"):
        sql.call("django_pgflow.start_flows", flow_slug=FLOW, inputs=[json(elements)])
    with watch("django_pgflow.start_flow"):
        sql.call(
            "django_pgflow.start_flow",
            flow_slug=FLOW,
            input=json(elements),
            run_id=uuid4(),
            if_absent=True,
            meta=json({}),
        )
    sql.rows("select pgmq.purge_queue(%(flow)s)", flow=FLOW)
    sql.rows("select pgmq.send(%(flow)s, '{}'::jsonb)", flow=FLOW)
    with watch("exchange that meets a message without a task"):
        assert sql.exchange([FLOW]) == []
    return watch.found


@pytest.fixture
def flow(sql: Sql) -> None:
    """A flow of a map and a collector, in a session whose transaction will be rolled back."""
    # Files without a page, so that what other tests left does not change the plans.
    sql.rows("truncate pgflow.runs, pgflow.step_states, pgflow.step_tasks cascade")
    sql.define(FLOW, "each[]", "all < each", base_delay=0)


def test_with_a_history_and_statistics(sql: Sql, flow: None) -> None:
    history.insert(sql.connection, FLOW, RUNS)
    for table in TABLES:
        sql.rows(f"analyze pgflow.{table}")
    assert call_all(sql) == {}


def test_with_a_history_of_which_nothing_is_known(sql: Sql, flow: None) -> None:
    history.insert(sql.connection, FLOW, RUNS)
    assert call_all(sql) == {}


@pytest.mark.parametrize("earlier_runs", [0, 100, 500])
def test_planned_when_the_history_was_short(sql: Sql, flow: None, earlier_runs: int) -> None:
    """A session keeps its plans while all fill the tables, until autovacuum has analyzed them."""
    if earlier_runs:
        history.insert(sql.connection, FLOW, earlier_runs)
    call_all(sql)
    history.insert(sql.connection, FLOW, RUNS // 4, checked=True)
    assert call_all(sql) == {}


def test_the_search_for_stalled_tasks_passes_over_what_nobody_has_claimed(sql: Sql, flow: None) -> None:
    sql.start(FLOW, list(range(2 * LIMIT)))
    for task in sql.claim(FLOW, 3):
        sql.age(task, 1000)
    watch = Watch(sql)
    with watch("requeue_stalled_tasks"):
        assert sql.requeue_stalled_tasks() == 3
    assert watch.found == {}


def test_a_scan_would_be_noticed(sql: Sql, flow: None) -> None:
    history.insert(sql.connection, FLOW, RUNS)
    watch = Watch(sql)
    with watch("a scan"):
        sql.rows("select count(*) from pgflow.step_tasks where last_worker_id is not null")
    with watch("an index that does not help"):
        sql.rows("set local enable_seqscan = off")
        sql.rows("select count(*) from pgflow.step_tasks where flow_slug = %(flow)s and status = 'queued'", flow=FLOW)
    assert list(watch.found) == ["a scan, step_tasks", "an index that does not help, step_tasks"]
