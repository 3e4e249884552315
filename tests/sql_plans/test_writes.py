"""A task that goes well changes its row in place: no index gets an entry more (HOT)."""

from __future__ import annotations

from collections import Counter

from django_pgflow.db.records import ExchangeRecord, TaskReport
from tests.fixtures.sql import Sessions, Sql, completed

SIZE = 60


def updates(sql: Sql) -> Counter[str]:
    """Count the updates, and those in place, by table, that this session has not handed on to the statistics."""
    rows = sql.rows(
        "select relname, n_tup_upd, n_tup_hot_upd from pg_stat_xact_user_tables where schemaname = 'pgflow'"
    )
    return Counter(
        {row.relname: row.n_tup_upd for row in rows} | {f"{row.relname} in place": row.n_tup_hot_upd for row in rows}
    )


def test_tasks_steps_and_runs_are_updated_in_place(sessions: Sessions) -> None:
    """Where pages have room: a page full of rows that one transaction changes has not."""
    sql = sessions.open()
    sql.define("in_place", "each[]")
    sql.start("in_place", list(range(SIZE)))
    counts: Counter[str] = Counter()

    def exchange(*reports: TaskReport, capacity: int) -> list[ExchangeRecord]:
        with sql.transaction():
            before = updates(sql)
            tasks = sql.exchange(["in_place"], *reports, capacity=capacity)
            counts.update(updates(sql) - before)
        return tasks

    for _ in range(SIZE):
        (task,) = exchange(capacity=1)
        exchange(completed(task), capacity=0)
    assert counts["step_tasks"] == counts["step_tasks in place"] == 2 * SIZE
    # The last task completes the step in the same update, and the run in one more.
    assert counts["step_states"] == counts["step_states in place"] == SIZE
    assert counts["runs"] == counts["runs in place"] == 1
