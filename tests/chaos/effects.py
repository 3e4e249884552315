"""The tables in which handlers and the starter write what they do; nothing of pgflow knows them.

They have no unique constraints: what is there twice is to be found at the end, not to fail a handler.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from django.db import connection

from django_pgflow import Context

TABLES = """
create schema chaos;
-- Written in the transaction that starts the run.
create table chaos.starts (run_id uuid not null, flow_slug text not null, input jsonb not null);
-- Written after a transaction that started a run was rolled back on purpose.
create table chaos.rollbacks (run_id uuid not null);
-- Written by handlers, each row in a transaction of its own.
create table chaos.effects (
  run_id uuid not null, step_slug text not null, task_index integer not null, attempt integer not null, pid integer
);
-- Written by handlers of steps that are atomic.
create table chaos.atomic_effects (like chaos.effects);
"""

LIVE_TASKS = """
select t.*, coalesce(d.opt_timeout, f.opt_timeout) as timeout
from pgmq.q_{slug} q
join pgflow.step_tasks t on t.flow_slug = '{slug}' and t.message_id = q.msg_id
join pgflow.steps d on d.flow_slug = t.flow_slug and d.step_slug = t.step_slug
join pgflow.flows f on f.flow_slug = t.flow_slug
"""


def create_tables(flow_slugs: Iterable[str]) -> None:
    """Create the tables, and a view of the tasks that are not done, found by their messages and so in little time."""
    view = " union all ".join(LIVE_TASKS.format(slug=slug) for slug in flow_slugs)
    with connection.cursor() as cursor:
        cursor.execute(f"{TABLES} create view chaos.live_tasks as {view}")


def effect(ctx: Context, table: str = "effects") -> None:
    """Write that an attempt of a task does its work."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"insert into chaos.{table} (run_id, step_slug, task_index, attempt, pid) values (%s, %s, %s, %s, %s)",
            [ctx.run_id, ctx.step_slug, ctx.task_index, ctx.attempt, os.getpid()],
        )
