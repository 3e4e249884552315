"""The functions of the core that our migrations install, a method a function; each returns a Query."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django_pgflow.db import arrays
from django_pgflow.db.core.handling import Handling
from django_pgflow.db.query import Query
from django_pgflow.db.records import (
    ANY_ROOM,
    CancellationRecord,
    ExchangeRecord,
    HeartbeatRecord,
    LossRecord,
    RetryRecord,
    Rooms,
    RunFailureRecord,
    RunOutcomeRecord,
    RunRecord,
    StartRecord,
    TaskReport,
    WorkerDetails,
)

RUN_COLUMNS = "run_id, flow_slug, status, output, remaining_steps, started_at, completed_at, failed_at"
START_AT = "coalesce(%(at)s::timestamptz, clock_timestamp() + make_interval(secs => %(delay)s::float))"
"""A time, or seconds from now by the clock of the database, or NULL."""


class Core(Handling):
    """What the database can be asked to do with flows, runs and tasks."""

    def start_flows(
        self,
        flow_slug: str,
        inputs: Sequence[str],
        run_ids: Sequence[UUID | None] | None = None,
        *,
        delay: float | None = None,
        at: datetime | None = None,
        meta: str | None = None,
    ) -> Query[RunRecord]:
        """Start a run for each input, in one statement.

        Args:
            flow_slug: A flow that is in the database.
            inputs: JSON texts.
            run_ids: An id for each input; None where the database is to choose.
            delay: Seconds before the first task of each can be claimed.
            at: The time before which none can; instead of ``delay``.
            meta: JSON text that is kept with each run.

        Returns:
            A record for each run, in the order of the inputs.

        Source: ``django_pgflow.start_flows``, made of the same parts as ``pgflow.start_flow``.
        """
        return Query(
            sql=f"select {RUN_COLUMNS} from django_pgflow.start_flows("  # noqa: S608 - constants
            "flow_slug => %(flow_slug)s, inputs => %(inputs)s::text[]::jsonb[], run_ids => %(run_ids)s::uuid[], "
            f"start_at => {START_AT}, meta => %(meta)s::jsonb)",
            params={
                "flow_slug": flow_slug,
                "inputs": list(inputs),
                "run_ids": list(run_ids) if run_ids is not None else None,
                "delay": delay,
                "at": at,
                "meta": meta,
            },
            read=RunRecord.read,
        )

    def start_flow(
        self,
        flow_slug: str,
        input: str,
        *,
        run_id: UUID | None = None,
        if_absent: bool = False,
        delay: float | None = None,
        at: datetime | None = None,
        meta: str | None = None,
    ) -> Query[StartRecord]:
        """Start one run.

        Args:
            flow_slug: A flow that is in the database.
            input: JSON text.
            run_id: The run's id; by default the database chooses.
            if_absent: Return a run of that id that exists, instead of failing.
            delay: Seconds before the first task can be claimed.
            at: The time before which it cannot; instead of ``delay``.
            meta: JSON text that is kept with the run.

        Returns:
            One record.

        Source: ``django_pgflow.start_flow``.
        """
        return Query(
            sql=f"select {RUN_COLUMNS}, created from django_pgflow.start_flow("  # noqa: S608 - constants
            "flow_slug => %(flow_slug)s, input => %(input)s::jsonb, run_id => %(run_id)s::uuid, "
            f"if_absent => %(if_absent)s, start_at => {START_AT}, meta => %(meta)s::jsonb)",
            params={
                "flow_slug": flow_slug,
                "input": input,
                "run_id": run_id,
                "if_absent": if_absent,
                "delay": delay,
                "at": at,
                "meta": meta,
            },
            read=StartRecord.read,
        )

    def cancel_runs(self, run_ids: Sequence[UUID], reason: str = "") -> Query[RunOutcomeRecord]:
        """Cancel started runs: they fail, their live steps are skipped, their live tasks cancelled.

        Returns:
            A record for each, in order.

        Source: ``django_pgflow.cancel_runs``.
        """
        return Query(
            sql="select run_id, outcome from django_pgflow.cancel_runs("
            "run_ids => %(run_ids)s::uuid[], reason => %(reason)s)",
            params={"run_ids": list(run_ids), "reason": reason},
            read=RunOutcomeRecord.read,
        )

    def resume_runs(self, run_ids: Sequence[UUID]) -> Query[RunOutcomeRecord]:
        """Take failed and cancelled runs up again in place: finished tasks are kept, the others get fresh attempts.

        Returns:
            A record for each, in order.

        Source: ``django_pgflow.resume_runs``.
        """
        return Query(
            sql="select run_id, outcome from django_pgflow.resume_runs(run_ids => %(run_ids)s::uuid[])",
            params={"run_ids": list(run_ids)},
            read=RunOutcomeRecord.read,
        )

    def restart_run(self, run_id: UUID, input: str | None = None) -> Query[RunRecord]:
        """Start a new run like another, linked to it, with the same input or another (JSON text).

        Returns:
            A record of the new run; none if there is no such run.

        Source: ``django_pgflow.restart_run``.
        """
        return Query(
            sql=f"select {RUN_COLUMNS} from django_pgflow.restart_run("  # noqa: S608 - a constant
            "run_id => %(run_id)s, input => %(input)s::jsonb)",
            params={"run_id": run_id, "input": input},
            read=RunRecord.read,
        )

    def run(self, run_id: UUID) -> Query[RunRecord]:
        """Look at one run; no record if there is none."""
        return Query(
            sql=f"select {RUN_COLUMNS} from pgflow.runs where run_id = %(run_id)s",  # noqa: S608 - a constant
            params={"run_id": run_id},
            read=RunRecord.read,
        )

    def run_failure(self, run_id: UUID) -> Query[RunFailureRecord]:
        """Look for what made a run fail; no record if nothing is noted."""
        return Query(
            sql="""
                select s.step_slug, t.task_index, coalesce(t.error_message, s.error_message) as error_message
                from pgflow.step_states s
                left join pgflow.step_tasks t
                  on t.run_id = s.run_id and t.step_slug = s.step_slug and t.status = 'failed'
                where s.run_id = %(run_id)s and s.status = 'failed'
                order by s.failed_at, s.step_slug, t.failed_at, t.task_index
                limit 1
            """,
            params={"run_id": run_id},
            read=RunFailureRecord.read,
        )

    def cancellation(self, run_id: UUID) -> Query[CancellationRecord]:
        """Look whether a run was cancelled; no record if not."""
        return Query(
            sql="select cancelled_at, cancel_reason from django_pgflow.run_details "
            "where run_id = %(run_id)s and cancelled_at is not null",
            params={"run_id": run_id},
            read=CancellationRecord.read,
        )

    def flow_input(self, run_id: UUID) -> Query[Any]:
        """Read the input of a run; no row if there is no such run."""
        return Query(
            sql="select input from pgflow.runs where run_id = %(run_id)s",
            params={"run_id": run_id},
            read=lambda row: row["input"],
        )

    def retry_tasks(self, tasks: Sequence[tuple[UUID, str, int]]) -> Query[RetryRecord]:
        """Retry failed tasks: their runs go on from there, finished work is kept.

        Args:
            tasks: (run_id, step_slug, task_index) of each.

        Returns:
            A record for each, saying what became of it.

        Source: ``django_pgflow.retry_tasks``.
        """
        return Query(
            sql="select run_id, step_slug, task_index, outcome from django_pgflow.retry_tasks("
            "run_ids => %(run_ids)s::uuid[], step_slugs => %(step_slugs)s::text[], "
            "task_indexes => %(task_indexes)s::integer[])",
            params={
                "run_ids": [task[0] for task in tasks],
                "step_slugs": [task[1] for task in tasks],
                "task_indexes": [task[2] for task in tasks],
            },
            read=RetryRecord.read,
        )

    def register_worker(self, worker_id: UUID, flow_slugs: Sequence[str], name: str) -> Query[None]:
        """Announce a worker; must precede its first exchange.

        Args:
            worker_id: A new id.
            flow_slugs: The flows that it serves.
            name: Where it runs, for people: ``host:pid``.
        """
        return Query(
            sql="insert into pgflow.workers (worker_id, queue_name, function_name) "
            "values (%(worker_id)s, %(queue_name)s, %(name)s) on conflict (worker_id) do nothing",
            params={"worker_id": worker_id, "queue_name": ",".join(flow_slugs), "name": name},
            read=lambda row: None,
        )

    def describe_worker(self, worker_id: UUID, details: WorkerDetails) -> Query[None]:
        """Say how to tell that a registered worker is lost; one that was taken for lost is alive again.

        Source: table ``django_pgflow.worker_details``, read by ``django_pgflow.requeue_lost_tasks``.
        """
        return Query(
            sql="""
                with revived as (
                  update pgflow.workers set stopped_at = null
                  where worker_id = %(worker_id)s and stopped_at is not null
                )
                insert into django_pgflow.worker_details (
                  worker_id, hostname, pid, version, concurrency, holds_lock, silence
                )
                values (
                  %(worker_id)s, %(hostname)s, %(pid)s, %(version)s, %(concurrency)s, %(holds_lock)s, %(silence)s
                )
                on conflict (worker_id) do update
                set holds_lock = excluded.holds_lock, silence = excluded.silence, lost_at = null
            """,
            params={"worker_id": worker_id, **dataclasses.asdict(details)},
            read=lambda row: None,
        )

    def heartbeat(self, worker_id: UUID) -> Query[HeartbeatRecord]:
        """Give a sign of life; no record if the worker is not registered, or not any more."""
        return Query(
            sql="update pgflow.workers set last_heartbeat_at = clock_timestamp() where worker_id = %(worker_id)s "
            "returning deprecated_at is not null as is_deprecated, stopped_at is not null as is_stopped",
            params={"worker_id": worker_id},
            read=HeartbeatRecord.read,
        )

    def hold_worker_lock(self, worker_id: UUID) -> Query[bool]:
        """Take the lock that a worker holds for as long as the connection lives; the row says whether it got it.

        Source: ``django_pgflow.worker_lock``.
        """
        return Query(
            sql="select pg_try_advisory_lock(django_pgflow.worker_lock(%(worker_id)s::uuid)) as held",
            params={"worker_id": worker_id},
            read=lambda row: bool(row["held"]),
        )

    def end_session(self, worker_id: UUID, pid: int) -> Query[None]:
        """End a session of the worker's own that holds its lock although the worker has lost the connection."""
        return Query(
            sql="""
                select pg_terminate_backend(l.pid)
                from pg_locks l
                where l.locktype = 'advisory'
                  and l.pid = %(pid)s
                  and (l.classid::bigint << 32 | l.objid::bigint) = django_pgflow.worker_lock(%(worker_id)s::uuid)
            """,
            params={"worker_id": worker_id, "pid": pid},
            read=lambda row: None,
        )

    def mark_worker_stopped(self, worker_id: UUID) -> Query[None]:
        """Note that a worker has ended in order."""
        return Query(
            sql="select pgflow.mark_worker_stopped(worker_id => %(worker_id)s)",
            params={"worker_id": worker_id},
            read=lambda row: None,
        )

    def requeue_stalled_tasks(self) -> Query[int]:
        """Give back the tasks whose worker fell silent; the row counts them."""
        return Query(sql="select pgflow.requeue_stalled_tasks() as requeued", read=lambda row: int(row["requeued"]))

    def requeue_lost_tasks(self, worker_id: UUID) -> Query[LossRecord]:
        """Give back the tasks of lost workers, unless another worker is doing so.

        Args:
            worker_id: The worker that asks; so it is not lost.

        Returns:
            One record.

        Source: ``django_pgflow.requeue_lost_tasks``.
        """
        return Query(
            sql="select alive_count, lost_count, requeued_count "
            "from django_pgflow.requeue_lost_tasks(worker_id => %(worker_id)s)",
            params={"worker_id": worker_id},
            read=LossRecord.read,
        )

    def exchange(
        self,
        worker_id: UUID,
        flow_slugs: Sequence[str],
        capacity: int,
        reports: Sequence[TaskReport] = (),
        *,
        listening: bool = True,
        waiting_slugs: Sequence[str] | None = None,
        rooms: Rooms = ANY_ROOM,
    ) -> Query[ExchangeRecord]:
        """Report results, then claim new tasks, in one statement and so one transaction.

        A report counts only if this worker still has the task, at this attempt. Tasks that the reports release
        can be claimed at once, by this very call.

        Args:
            worker_id: A registered worker.
            flow_slugs: Flows to claim from; shared out fairly among them.
            capacity: Tasks to claim at most; 0 claims none.
            reports: Results, in any order.
            listening: Whether the worker is to be notified of new work of the flows of which it gets nothing now.
            waiting_slugs: Those of the flows for which an earlier call may have noted that; None for all.
            rooms: How many tasks of a flow or a step to claim at most.

        Returns:
            A record for each claimed task and for each refused report.

        Source: ``django_pgflow.exchange``.
        """
        is_capped = bool(rooms.flows or rooms.steps)
        return Query(
            sql="select * from django_pgflow.exchange("  # noqa: S608 - constants
            "worker_id => %(worker_id)s, flow_slugs => %(flow_slugs)s::text[], capacity => %(capacity)s, "
            "run_ids => %(run_ids)s::uuid[], step_slugs => %(step_slugs)s::text[], "
            "task_indexes => %(task_indexes)s::integer[], attempts => %(attempts)s::integer[], "
            "outcomes => %(outcomes)s::text[], outputs => %(outputs)s::text[]::jsonb[], "
            "error_messages => %(error_messages)s::text[], delays => %(delays)s::integer[], "
            "error_classes => %(error_classes)s::text[], tracebacks => %(tracebacks)s::text[], "
            "listening => %(listening)s, waiting_slugs => %(waiting_slugs)s::text[]"
            # Most calls do not say anything of rooms, and need not carry that.
            + (", flow_rooms => %(flow_rooms)s::jsonb, step_rooms => %(step_rooms)s::jsonb)" if is_capped else ")"),
            params={
                "worker_id": worker_id,
                "flow_slugs": list(flow_slugs),
                "capacity": capacity,
                "run_ids": arrays.numbers([report.run_id for report in reports]),
                "step_slugs": arrays.texts([report.step_slug for report in reports]),
                "task_indexes": arrays.numbers([report.task_index for report in reports]),
                "attempts": arrays.numbers([report.attempt for report in reports]),
                "outcomes": arrays.texts([report.outcome for report in reports]),
                "outputs": arrays.texts([report.output for report in reports]),
                "error_messages": arrays.texts_if_any([report.error_message for report in reports]),
                "delays": [report.delay for report in reports] if any(r.delay is not None for r in reports) else None,
                "error_classes": arrays.texts_if_any([report.error_class for report in reports]),
                "tracebacks": arrays.texts_if_any([report.traceback for report in reports]),
                "listening": listening,
                "waiting_slugs": list(flow_slugs if waiting_slugs is None else waiting_slugs),
                **({"flow_rooms": json.dumps(rooms.flows), "step_rooms": json.dumps(rooms.steps)} if is_capped else {}),
            },
            read=ExchangeRecord.read,
        )
