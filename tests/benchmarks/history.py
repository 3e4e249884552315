"""Finished work, as it lies around after months, written straight into the tables."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row

STATEMENTS = (
    """
    insert into pgflow.runs (flow_slug, run_id, status, input, output, started_at, completed_at)
    select
      %(flow)s, gen_random_uuid(), 'completed', '[0, 1, 2, 3]', '{{"each": [0, 1, 2, 3]}}',
      now() - make_interval(secs => n), now() - make_interval(secs => n)
    from generate_series(1, %(runs)s) as n
    """,
    """
    insert into pgflow.step_states (
      flow_slug, run_id, step_slug, status, remaining_tasks, initial_tasks, output, created_at, started_at, completed_at
    )
    select
      r.flow_slug, r.run_id, 'each', 'completed', 0, %(tasks)s, '[0, 1, 2, 3]', r.started_at, r.started_at,
      r.completed_at
    from pgflow.runs r
    where r.flow_slug = %(flow)s
      and not exists (select from pgflow.step_states s where s.run_id = r.run_id)
    """,
    """
    insert into pgflow.step_tasks (
      flow_slug, run_id, step_slug, task_index, message_id, status, attempts_count, input, output, queued_at,
      started_at, completed_at
    )
    select
      r.flow_slug, r.run_id, 'each', n, %(sent)s + row_number() over (), 'completed', 1, to_jsonb(n), to_jsonb(n),
      r.started_at, r.started_at, r.completed_at
    from pgflow.runs r
    cross join generate_series(0, %(tasks)s - 1) as n
    where r.flow_slug = %(flow)s
      and not exists (select from pgflow.step_tasks t where t.run_id = r.run_id)
    """,
    """
    insert into pgmq.{archive} (msg_id, read_ct, enqueued_at, archived_at, vt, message)
    select
      t.message_id, 1, t.queued_at, t.completed_at, t.queued_at,
      pgflow._message(t.flow_slug, t.run_id, t.step_slug, t.task_index)
    from pgflow.step_tasks t
    where t.flow_slug = %(flow)s
      and t.message_id > %(sent)s
    """,
    "select setval(pg_get_serial_sequence('pgmq.{queue}', 'msg_id'), %(sent)s + %(runs)s::bigint * %(tasks)s)",
)


def insert(
    connection: psycopg.Connection[Any], flow_slug: str, runs: int, tasks: int = 4, *, checked: bool = False
) -> None:
    """Insert completed runs of a flow of one map step, ``each``, in lower case, with so many tasks a run.

    In one transaction, or as a part of the one that is open. The references between the rows hold, so they are not
    checked unless ``checked``. Leaving that out takes a superuser, and makes the session forget its plans.
    """
    names = {"queue": sql.SQL(f"q_{flow_slug}"), "archive": sql.SQL(f"a_{flow_slug}")}
    with connection.transaction(), connection.cursor(row_factory=scalar_row) as cursor:
        if not checked:
            cursor.execute("set local session_replication_role = replica")
        cursor.execute(
            "select coalesce(pg_sequence_last_value(pg_get_serial_sequence(%s, 'msg_id')::regclass), 0)",
            [f"pgmq.q_{flow_slug}"],
        )
        params = {"flow": flow_slug, "runs": runs, "tasks": tasks, "sent": cursor.fetchone()}
        for statement in STATEMENTS:
            cursor.execute(sql.SQL(statement).format(**names), params)
        if not checked:
            cursor.execute("set local session_replication_role = origin")
