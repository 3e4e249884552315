"""What a limited step costs does not depend on how many tasks wait, nor on the history."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.benchmarks import history
from tests.fixtures.sql import Sql, completed, json

FLOW = "plans"
TABLES = ("runs", "step_tasks", "limited_tasks", "concurrency_limits", f"q_{FLOW}")
RUNS = 5_000
"""Finished runs."""
WAITING = 1_500
"""Tasks that wait for each of the keys."""
LIMIT = 700
"""Rows of one table that a call may read: of the hundred messages that it looks at, a few times."""


class Watch:
    """Notes the calls that read too much."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self.found: dict[str, str] = {}

    def _reads(self) -> dict[str, tuple[int, int]]:
        rows = self._sql.rows(
            "select relname, seq_scan, seq_tup_read, coalesce(idx_tup_fetch, 0) as fetched "
            "from pg_stat_xact_user_tables where relname = any(%(tables)s)",
            tables=list(TABLES),
        )
        return {row.relname: (row.seq_tup_read, row.fetched) for row in rows}

    @contextlib.contextmanager
    def __call__(self, name: str, limit: int = LIMIT) -> Iterator[None]:
        """Watch the calls within."""
        before = self._reads()
        yield
        after = self._reads()
        for table in TABLES:
            scanned, fetched = (now - then for now, then in zip(after[table], before[table], strict=True))
            if scanned > 10 or fetched > limit:
                self.found[f"{name}, {table}"] = f"{scanned} rows scanned, {fetched} by an index"


def call_all(sql: Sql) -> dict[str, str]:
    """Let tasks of two keys wait, and return the calls that read too much."""
    watch = Watch(sql)
    sql.call(
        "django_pgflow.start_flows",
        flow_slug=FLOW,
        inputs=[json([key]) for key in range(2) for _ in range(WAITING)],
    )
    claimed = sql.exchange([FLOW], capacity=10)
    assert len(claimed) == 4
    assert sql.value("select count(*) from django_pgflow.limited_tasks") == 2 * WAITING
    with watch("exchange that reports and claims"):
        claimed += (following := sql.exchange([FLOW], completed(claimed.pop(0)), capacity=10))
    assert sorted(task.step_slug for task in following) == ["all", "each"]
    with watch("exchange that finds nothing"):
        assert sql.exchange([FLOW], capacity=10) == []
    sql.call("django_pgflow.start_flows", flow_slug=FLOW, inputs=[json([1])] * 10)
    with watch("exchange that lets some wait"):
        assert sql.exchange([FLOW], capacity=10) == []
    with watch("wake_limited_tasks"):
        sql.rows("select django_pgflow.wake_limited_tasks()")
    for table in ("django_pgflow.limited_tasks", "pgflow.step_tasks", "pgflow.step_states"):
        sql.rows(f"delete from {table} where run_id in (select run_id from pgflow.runs where status = 'started')")
    sql.rows("delete from pgflow.runs where status = 'started'")
    sql.rows(f"delete from pgmq.q_{FLOW}")
    return watch.found


@pytest.fixture
def flow(sql: Sql) -> None:
    """A flow of a map and a collector, in a session whose transaction will be rolled back."""
    sql.rows("truncate pgflow.runs, pgflow.step_states, pgflow.step_tasks, django_pgflow.limited_tasks cascade")
    sql.define(FLOW, "each[]", "all < each", base_delay=0)
    sql.call("django_pgflow.set_concurrency_limit", flow_slug=FLOW, step_slug="each", max_count=2, key_path=["0"])


def test_with_a_history_and_statistics(sql: Sql, flow: None) -> None:
    history.insert(sql.connection, FLOW, RUNS)
    for table in ("pgflow.runs", "pgflow.step_tasks", "django_pgflow.limited_tasks"):
        sql.rows(f"analyze {table}")
    assert call_all(sql) == {}


def test_with_a_history_of_which_nothing_is_known(sql: Sql, flow: None) -> None:
    history.insert(sql.connection, FLOW, RUNS)
    assert call_all(sql) == {}


def test_planned_when_there_was_nothing(sql: Sql, flow: None) -> None:
    """A session keeps its plans while the tables fill."""
    call_all(sql)
    history.insert(sql.connection, FLOW, RUNS)
    assert call_all(sql) == {}
