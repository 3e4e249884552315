"""What a worker asks the database for handlers that are running, besides the exchange of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django_pgflow.db.query import Query
from django_pgflow.db.records import ExchangeRecord, HeldRecord, ProgressReport, TaskReport


class Handling:
    """The part of ``current.Core`` that serves running handlers."""

    def exchange(
        self,
        worker_id: UUID,
        flow_slugs: Sequence[str],
        capacity: int,
        reports: Sequence[TaskReport] = (),
        *,
        listening: bool = True,
    ) -> Query[ExchangeRecord]:
        """See ``current.Core``."""
        raise NotImplementedError

    def report(self, worker_id: UUID, report: TaskReport) -> Query[bool]:
        """Report one task, in whatever transaction is open.

        Returns:
            A row that says whether the report counted; cores of others may give none where it did not.
        """
        exchange = self.exchange(worker_id, [], 0, [report], listening=False)
        return Query(
            sql=f"select not exists ({exchange.sql}) as counted",
            params=exchange.params,
            read=lambda row: bool(row["counted"]),
        )

    def held_tasks(self, worker_id: UUID, flow_slugs: Sequence[str]) -> Query[HeldRecord]:
        """Ask which tasks the database thinks that a worker is executing.

        Source: ``django_pgflow._held_tasks``.
        """
        return Query(
            sql="""
                select held.run_id, held.step_slug, held.task_index, held.attempt
                from django_pgflow._held_tasks(array[%(worker_id)s::uuid]) held
                join pgflow.runs r on r.run_id = held.run_id
                where r.status = 'started' and r.flow_slug = any(%(flow_slugs)s::text[])
            """,
            params={"worker_id": worker_id, "flow_slugs": list(flow_slugs)},
            read=HeldRecord.read,
        )

    def lost_tasks(self, worker_id: UUID, tasks: Sequence[ExchangeRecord]) -> Query[int]:
        """Ask which of some tasks are no longer this worker's to do, at their attempts, in runs that go on.

        Returns:
            The place of each among ``tasks``, counted from 0.
        """
        return Query(
            # A subquery for a value is looked up for each task; a join could be planned as a scan of all tasks.
            sql="""
                select (given.position - 1)::integer as place
                from unnest(%(run_ids)s::uuid[], %(step_slugs)s::text[], %(task_indexes)s::integer[],
                    %(attempts)s::integer[])
                  with ordinality as given (run_id, step_slug, task_index, attempt, position)
                where (
                  select true
                  from pgflow.step_tasks t
                  join pgflow.runs r on r.run_id = t.run_id
                  where t.run_id = given.run_id
                    and t.step_slug = given.step_slug
                    and t.task_index = given.task_index
                    and t.status = 'started'
                    and t.attempts_count = given.attempt
                    and t.last_worker_id = %(worker_id)s
                    and r.status = 'started'
                ) is null
            """,
            params={
                "worker_id": worker_id,
                "run_ids": [task.run_id for task in tasks],
                "step_slugs": [task.step_slug for task in tasks],
                "task_indexes": [task.task_index for task in tasks],
                "attempts": [task.attempt for task in tasks],
            },
            read=lambda row: int(row["place"]),
        )

    def extend_task(self, worker_id: UUID, task: ExchangeRecord, seconds: int) -> Query[None]:
        """Leave a task to its worker for so many seconds from now, with its message hidden, if it has the task."""
        return Query(
            sql="""
                with extended as (
                  update pgflow.step_tasks t
                  set extended_until = clock_timestamp() + make_interval(secs => %(seconds)s)
                  where t.run_id = %(run_id)s
                    and t.step_slug = %(step_slug)s
                    and t.task_index = %(task_index)s
                    and t.status = 'started'
                    and t.attempts_count = %(attempt)s
                    and t.last_worker_id = %(worker_id)s
                  returning t.flow_slug, t.message_id
                )
                select
                from extended
                cross join lateral pgflow.set_vt_batch(
                  extended.flow_slug, array[extended.message_id], array[%(seconds)s::integer]
                ) as hidden
            """,
            params={
                "worker_id": worker_id,
                "run_id": task.run_id,
                "step_slug": task.step_slug,
                "task_index": task.task_index,
                "attempt": task.attempt,
                "seconds": seconds,
            },
            read=lambda row: None,
        )

    def save_progress(self, worker_id: UUID, reports: Sequence[ProgressReport]) -> Query[None]:
        """Keep how far tasks are, those that the worker still has or has just ended; at most one report a task.

        A task that somebody is deleting is passed over, so that nobody waits.
        """
        return Query(
            sql="""
                insert into django_pgflow.task_progress as p (
                  run_id, step_slug, task_index, attempt, done, total, text, updated_at
                )
                select given.run_id, given.step_slug, given.task_index, given.attempt, given.done, given.total,
                  given.text, clock_timestamp()
                from unnest(%(run_ids)s::uuid[], %(step_slugs)s::text[], %(task_indexes)s::integer[],
                    %(attempts)s::integer[], %(done)s::float[], %(totals)s::float[], %(texts)s::text[])
                  as given (run_id, step_slug, task_index, attempt, done, total, text)
                cross join lateral (
                  select
                  from pgflow.step_tasks t
                  where t.run_id = given.run_id
                    and t.step_slug = given.step_slug
                    and t.task_index = given.task_index
                    and t.attempts_count = given.attempt
                    and t.last_worker_id = %(worker_id)s
                  for key share skip locked
                ) as held
                on conflict (run_id, step_slug, task_index) do update
                set attempt = excluded.attempt, done = excluded.done, total = excluded.total, text = excluded.text,
                  updated_at = excluded.updated_at
            """,
            params={
                "worker_id": worker_id,
                "run_ids": [report.run_id for report in reports],
                "step_slugs": [report.step_slug for report in reports],
                "task_indexes": [report.task_index for report in reports],
                "attempts": [report.attempt for report in reports],
                "done": [report.done for report in reports],
                "totals": [report.total for report in reports],
                "texts": [report.text for report in reports],
            },
            read=lambda row: None,
        )

    def run_meta(self, run_id: UUID) -> Query[Any]:
        """Read what was noted when a run was started; no row, or NULL, if nothing was."""
        return Query(
            sql="select meta from django_pgflow.run_details where run_id = %(run_id)s",
            params={"run_id": run_id},
            read=lambda row: row["meta"],
        )

    def link_child(self, run_id: UUID, parent: tuple[UUID, str, int]) -> Query[None]:
        """Note that a run was started by a task of another: run, step and index."""
        return Query(
            sql="""
                insert into django_pgflow.run_details (run_id, parent_run_id, parent_step_slug, parent_task_index)
                values (%(run_id)s, %(parent_run_id)s, %(parent_step_slug)s, %(parent_task_index)s)
                on conflict (run_id) do update
                set parent_run_id = excluded.parent_run_id, parent_step_slug = excluded.parent_step_slug,
                  parent_task_index = excluded.parent_task_index
            """,
            params={
                "run_id": run_id,
                "parent_run_id": parent[0],
                "parent_step_slug": parent[1],
                "parent_task_index": parent[2],
            },
            read=lambda row: None,
        )
