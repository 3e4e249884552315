"""The worker's part of a core that others installed: tasks one by one, through public functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django_pgflow import exceptions
from django_pgflow.db.capabilities import Capabilities
from django_pgflow.db.core.current import Core
from django_pgflow.db.core.definitions import OUR_CORE
from django_pgflow.db.query import Query
from django_pgflow.db.records import (
    ANY_ROOM,
    ExchangeRecord,
    HeartbeatRecord,
    HeldRecord,
    LossRecord,
    ProgressReport,
    Record,
    Rooms,
    TaskReport,
)

BRIDGE = 30
"""Seconds that a message is hidden between reading it and starting its task."""


@dataclass(frozen=True, kw_only=True)
class StartedTask(Record):
    """A task that ``start_tasks`` returned. In pgflow before 0.12 ``input`` of a single step has the key "run"."""

    flow_slug: str
    run_id: UUID
    step_slug: str
    task_index: int
    input: Any
    msg_id: int


@dataclass(frozen=True, kw_only=True)
class HeldTask(Record):
    """What ``start_tasks`` does not tell of a task that a worker has. ``run_input`` is None for map steps."""

    msg_id: int
    attempt: int
    max_attempts: int
    timeout: int
    step_type: str
    run_input: Any

    def record(self, started: StartedTask) -> ExchangeRecord:
        """Return the claimed task as our own core gives it."""
        return ExchangeRecord(
            kind="claimed",
            flow_slug=started.flow_slug,
            run_id=started.run_id,
            step_slug=started.step_slug,
            task_index=started.task_index,
            attempt=self.attempt,
            input=started.input if self.step_type == "map" else {"run": self.run_input, **started.input},
            msg_id=started.msg_id,
            max_attempts=max(1, self.max_attempts),
            timeout=self.timeout,
        )


class OneByOneCore(Core):
    """Tasks are read, started and reported one by one; reports are compared with what the tables say before they count.

    Args:
        capabilities: What was found in the database.
    """

    def __init__(self, capabilities: Capabilities) -> None:
        self.name = capabilities.version_name
        self._is_beside = capabilities.is_beside

    def not_supported(self, what: str, needs: str = OUR_CORE) -> exceptions.NotSupported:
        """Return the error that says that this core lacks something."""
        return exceptions.NotSupported(what, needs, self.name)

    # -- claiming

    def read_messages(self, flow_slug: str, quantity: int) -> Query[tuple[int, str]]:
        """Read messages that are due, and hide them until their tasks are started. The rows are ids and step slugs."""
        return Query(
            sql="select msg_id, message ->> 'step_slug' as step_slug "
            "from pgmq.read(%(flow_slug)s, %(hidden)s::integer, %(quantity)s::integer) order by 1",
            params={"flow_slug": flow_slug, "hidden": BRIDGE, "quantity": quantity},
            read=lambda row: (int(row["msg_id"]), str(row["step_slug"])),
        )

    def put_back_messages(self, flow_slug: str, msg_ids: Sequence[int], seconds: int) -> Query[None]:
        """Let messages that were read and not started be read again, after so many seconds."""
        return Query(
            sql="select from unnest(%(msg_ids)s::bigint[]) as given (msg_id) "
            "cross join lateral pgmq.set_vt(%(flow_slug)s, given.msg_id, %(seconds)s::integer) as hidden",
            params={"flow_slug": flow_slug, "msg_ids": list(msg_ids), "seconds": seconds},
            read=lambda row: None,
        )

    def start_tasks(self, flow_slug: str, msg_ids: Sequence[int], worker_id: UUID) -> Query[StartedTask]:
        """Start the queued tasks behind messages. Must run in a transaction that began after they were read.

        Two callers that hold one message may both get its task (15, row 2); ``hold_tasks`` tells whose it is.

        Source: ``pgflow.start_tasks``, pgflow 0.7 and later.
        """
        return Query(
            sql="select flow_slug, run_id, step_slug, task_index, input, msg_id from pgflow.start_tasks("
            "flow_slug => %(flow_slug)s, msg_ids => %(msg_ids)s::bigint[], worker_id => %(worker_id)s)",
            params={"flow_slug": flow_slug, "msg_ids": list(msg_ids), "worker_id": worker_id},
            read=StartedTask.read,
        )

    def hold_tasks(self, flow_slug: str, msg_ids: Sequence[int], worker_id: UUID) -> Query[HeldTask]:
        """Hide the messages of the tasks that are this worker's until two seconds after their timeout.

        ``start_tasks`` should have done so, and does not (15, row 1).
        """
        return Query(
            sql="""
                select t.message_id as msg_id, t.attempts_count as attempt, s.step_type,
                  coalesce(s.opt_max_attempts, f.opt_max_attempts) as max_attempts,
                  coalesce(s.opt_timeout, f.opt_timeout) as timeout,
                  case when s.step_type = 'single' then r.input end as run_input
                from pgflow.step_tasks t
                join pgflow.runs r on r.run_id = t.run_id
                join pgflow.flows f on f.flow_slug = t.flow_slug
                join pgflow.steps s on s.flow_slug = t.flow_slug and s.step_slug = t.step_slug
                cross join lateral pgmq.set_vt(
                  t.flow_slug, t.message_id, (coalesce(s.opt_timeout, f.opt_timeout) + 2)::integer
                ) as hidden
                where t.flow_slug = %(flow_slug)s
                  and t.message_id = any(%(msg_ids)s::bigint[])
                  and t.status = 'started'
                  and t.last_worker_id = %(worker_id)s
            """,
            params={"flow_slug": flow_slug, "msg_ids": list(msg_ids), "worker_id": worker_id},
            read=HeldTask.read,
        )

    def has_work(self, flow_slugs: Sequence[str]) -> Query[bool]:
        """Ask whether any run of these flows has a task that is queued, due or not, or in some worker's hands."""
        return self._has_work(flow_slugs, "and t.permanently_stalled_at is null")

    # -- reporting

    def settle(self, report: TaskReport) -> TaskReport | None:
        """Return what to say where the core does not know an outcome; None to say nothing.

        A task that is given back stays as it is until ``requeue_stalled_tasks`` finds it, which costs no failure.
        """
        if report.outcome == "exhausted":
            return replace(report, outcome="failed")
        if report.outcome == "skipped":
            error = self.not_supported("Skipping a step from its handler")
            return replace(report, outcome="failed", error_message=f"NotSupported: {error}")
        if report.outcome == "released":
            if report.delay is None:
                return None
            return replace(report, outcome="failed", error_message=report.error_message or "Put off by its handler")
        return report

    def report(self, worker_id: UUID, report: TaskReport) -> Query[bool]:
        """Complete or fail a task, if this worker still has it, at this attempt, and its run goes on.

        The core itself asks neither for worker nor for attempt (15, row 6), so the rows are locked, in its own order,
        and compared, in the same statement. A failed attempt is kept beside the core.

        Returns:
            A row that says whether the report counted; none if the task was another's.
        """
        return Query(
            sql=f"""
                with run as materialized (
                  select r.run_id
                  from pgflow.runs r
                  where r.run_id = %(run_id)s and r.status = 'started'
                  for update
                ),
                task as materialized (
                  select t.run_id, t.step_slug, t.task_index, t.started_at
                  from pgflow.step_tasks t
                  where t.run_id = (select run.run_id from run)
                    and t.step_slug = %(step_slug)s
                    and t.task_index = %(task_index)s
                    and t.status = 'started'
                    and t.attempts_count = %(attempt)s
                    and t.last_worker_id = %(worker_id)s
                  for update
                ){self._noting(report)}
                -- pgflow 0.7 returns no row when it fails a task for the type of its output.
                select done.status is distinct from 'started' as counted, delayed.message is not null as is_delayed
                from task
                left join lateral pgflow.{self._verb(report)} as done on true
                left join lateral (
                  select pgmq.set_vt(done.flow_slug, done.message_id, %(delay)s::integer) as message
                  where done.status = 'queued' and done.message_id is not null and %(delay)s::integer is not null
                ) as delayed on true
            """,  # noqa: S608 - constants
            params={
                "run_id": report.run_id,
                "step_slug": report.step_slug,
                "task_index": report.task_index,
                "attempt": report.attempt,
                "worker_id": worker_id,
                "output": report.output,
                "error_message": report.error_message or "",
                "delay": report.delay,
                "error_class": report.error_class,
                "traceback": report.traceback,
            },
            read=lambda row: bool(row["counted"]),
        )

    def held_tasks(self, worker_id: UUID, flow_slugs: Sequence[str]) -> Query[HeldRecord]:
        """Ask which tasks the database thinks that a worker is executing."""
        return Query(
            sql="""
                select t.run_id, t.step_slug, t.task_index, t.attempts_count as attempt
                from pgflow.runs r
                join pgflow.step_tasks t on t.run_id = r.run_id
                where r.status = 'started'
                  and r.flow_slug = any(%(flow_slugs)s::text[])
                  and t.status = 'started'
                  and t.last_worker_id = %(worker_id)s
            """,
            params={"worker_id": worker_id, "flow_slugs": list(flow_slugs)},
            read=HeldRecord.read,
        )

    def heartbeat(self, worker_id: UUID) -> Query[HeartbeatRecord]:
        """Give a sign of life; no record if the worker is not registered. Nobody takes a worker for lost here."""
        return Query(
            sql="update pgflow.workers set last_heartbeat_at = clock_timestamp() where worker_id = %(worker_id)s "
            "returning deprecated_at is not null as is_deprecated, false as is_stopped",
            params={"worker_id": worker_id},
            read=HeartbeatRecord.read,
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
        """Refuse; ``worker.portable`` does the same in several statements."""
        raise self.not_supported("Exchanging tasks in one statement")

    # -- running handlers

    def requeue_lost_tasks(self, worker_id: UUID) -> Query[LossRecord]:
        """Refuse: ``requeue_stalled_tasks`` is what such cores have."""
        raise self.not_supported("Finding lost workers")

    def extend_task(self, worker_id: UUID, task: ExchangeRecord, seconds: int) -> Query[None]:
        """Refuse: ``requeue_stalled_tasks`` asks only when a task began."""
        raise self.not_supported("Extending the time of a task")

    def save_progress(self, worker_id: UUID, reports: Sequence[ProgressReport]) -> Query[None]:
        """Keep how far tasks are, in our own table.

        Raises:
            NotSupported: There is no schema ``django_pgflow``.
        """
        self._need_schema("Keeping the progress of a task")
        return super().save_progress(worker_id, reports)

    def run_meta(self, run_id: UUID) -> Query[Any]:
        """Read what was noted when a run was started; nothing, where there is no place for notes."""
        if not self._is_beside:
            return Query(sql="select null as meta where false", read=lambda row: None)
        return super().run_meta(run_id)

    def link_child(self, run_id: UUID, parent: tuple[UUID, str, int]) -> Query[None]:
        """Note that a run was started by a task of another.

        Raises:
            NotSupported: There is no schema ``django_pgflow``.
        """
        self._need_schema("Linking a child run")
        return super().link_child(run_id, parent)

    # -- parts

    def _need_schema(self, what: str) -> None:
        if not self._is_beside:
            raise self.not_supported(what, "the schema 'django_pgflow' (run `manage.py migrate`)")

    def _noting(self, report: TaskReport) -> str:
        """Return what keeps the failed attempt, in our own table."""
        if report.outcome == "completed" or not self._is_beside:
            return ""
        return """,
                noted as (
                  insert into django_pgflow.failed_attempts (
                    run_id, step_slug, task_index, attempt, worker_id, started_at, failed_at, error_class,
                    error_message, traceback
                  )
                  select task.run_id, task.step_slug, task.task_index, %(attempt)s, %(worker_id)s, task.started_at,
                    greatest(clock_timestamp(), task.started_at), %(error_class)s, %(error_message)s, %(traceback)s
                  from task
                  on conflict do nothing
                )"""

    @staticmethod
    def _verb(report: TaskReport) -> str:
        last = "output => %(output)s::jsonb" if report.outcome == "completed" else "error_message => %(error_message)s"
        name = "complete_task" if report.outcome == "completed" else "fail_task"
        return f"{name}(run_id => task.run_id, step_slug => task.step_slug, task_index => task.task_index, {last})"

    @staticmethod
    def _has_work(flow_slugs: Sequence[str], live: str) -> Query[bool]:
        return Query(
            sql=f"""
                select exists (
                  select 1
                  from pgflow.runs r
                  join pgflow.step_tasks t on t.run_id = r.run_id
                  where r.status = 'started'
                    and r.flow_slug = any(%(flow_slugs)s::text[])
                    and t.status in ('queued', 'started')
                    {live}
                ) as has_work
            """,  # noqa: S608 - constants
            params={"flow_slugs": list(flow_slugs)},
            read=lambda row: bool(row["has_work"]),
        )
