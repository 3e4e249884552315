"""A core that others installed: pgflow 0.14 itself, used through its public functions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django_pgflow import exceptions
from django_pgflow.db.capabilities import Capabilities
from django_pgflow.db.core.current import RUN_COLUMNS, Core
from django_pgflow.db.query import Query
from django_pgflow.db.records import (
    ExchangeRecord,
    Record,
    RetryRecord,
    RunOutcomeRecord,
    RunRecord,
    StartRecord,
    TaskReport,
)

OUR_CORE = "the core that django-pgflow installs into a database without pgflow"

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


class ExternalCore(Core):
    """pgflow 0.14: tasks are read, started and reported one by one; runs cannot be controlled.

    Args:
        capabilities: What was found in the database.
    """

    def __init__(self, capabilities: Capabilities) -> None:
        self.name = capabilities.version_name
        self._is_beside = capabilities.is_beside

    def not_supported(self, what: str, needs: str = OUR_CORE) -> exceptions.NotSupported:
        """Return the error that says that this core lacks something."""
        return exceptions.NotSupported(what, needs, self.name)

    # -- runs

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
        """Start a run for each input, by ``pgflow.start_flow``, in one statement.

        Raises:
            NotSupported: There is a delay or a time.
        """
        self._refuse_options(delay, at, meta)
        return Query(
            sql=f"""
                with started as materialized (
                  select run.*, given.position
                  from unnest(%(inputs)s::text[]::jsonb[], %(run_ids)s::uuid[])
                    with ordinality as given (input, run_id, position)
                  cross join lateral pgflow.start_flow(
                    flow_slug => %(flow_slug)s, input => given.input,
                    run_id => coalesce(given.run_id, gen_random_uuid())
                  ) as run
                ){self._note(meta)}
                select {RUN_COLUMNS} from started order by position
            """,  # noqa: S608 - constants
            params={
                "flow_slug": flow_slug,
                "inputs": list(inputs),
                "run_ids": list(run_ids) if run_ids is not None else None,
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
        """Start one run, by ``pgflow.start_flow``.

        Of two sessions that start a run of one id at the same moment, one gets a unique violation, even with
        ``if_absent``.

        Raises:
            NotSupported: There is a delay or a time.
        """
        self._refuse_options(delay, at, meta)
        return Query(
            sql=f"""
                with existing as materialized (
                  select {RUN_COLUMNS} from pgflow.runs where run_id = %(run_id)s::uuid and %(if_absent)s
                ),
                started as materialized (
                  select run.*
                  from (select 1 where not exists (select from existing)) as absent
                  cross join lateral pgflow.start_flow(
                    flow_slug => %(flow_slug)s, input => %(input)s::jsonb,
                    run_id => coalesce(%(run_id)s::uuid, gen_random_uuid())
                  ) as run
                ){self._note(meta)}
                select {RUN_COLUMNS}, false as created from existing
                union all
                select {RUN_COLUMNS}, true as created from started
            """,  # noqa: S608 - constants
            params={"flow_slug": flow_slug, "input": input, "run_id": run_id, "if_absent": if_absent, "meta": meta},
            read=StartRecord.read,
        )

    def cancel_runs(self, run_ids: Sequence[UUID], reason: str = "") -> Query[RunOutcomeRecord]:
        """Refuse: no public function cancels."""
        raise self.not_supported("Cancelling a run")

    def resume_runs(self, run_ids: Sequence[UUID]) -> Query[RunOutcomeRecord]:
        """Refuse: no public function resumes."""
        raise self.not_supported("Resuming a run")

    def restart_run(self, run_id: UUID, input: str | None = None) -> Query[RunRecord]:
        """Start a new run like another, by ``pgflow.start_flow``; the link is kept beside the core.

        Raises:
            NotSupported: There is no schema ``django_pgflow``.
        """
        self._need_schema("Restarting a run")
        return Query(
            sql=f"""
                with old as materialized (
                  select r.run_id, r.flow_slug, coalesce(%(input)s::jsonb, r.input) as input
                  from pgflow.runs r
                  where r.run_id = %(run_id)s
                ),
                started as materialized (
                  select run.*
                  from old
                  cross join lateral pgflow.start_flow(flow_slug => old.flow_slug, input => old.input) as run
                ),
                noted as (
                  insert into django_pgflow.run_details (run_id, meta, restarted_from)
                  select started.run_id, d.meta, old.run_id
                  from started
                  cross join old
                  left join django_pgflow.run_details d on d.run_id = old.run_id
                )
                select {RUN_COLUMNS} from started
            """,  # noqa: S608 - a constant
            params={"run_id": run_id, "input": input},
            read=RunRecord.read,
        )

    def retry_tasks(self, tasks: Sequence[tuple[UUID, str, int]]) -> Query[RetryRecord]:
        """Refuse: no public function retries a task that has failed for good."""
        raise self.not_supported("Retrying failed tasks")

    # -- the worker: claiming

    def read_messages(self, flow_slug: str, quantity: int) -> Query[int]:
        """Read messages that are due, and hide them until their tasks are started. The rows are message ids."""
        return Query(
            sql="select msg_id from pgmq.read(%(flow_slug)s, %(hidden)s::integer, %(quantity)s::integer) order by 1",
            params={"flow_slug": flow_slug, "hidden": BRIDGE, "quantity": quantity},
            read=lambda row: int(row["msg_id"]),
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

    # -- the worker: reporting

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

    def exchange(
        self,
        worker_id: UUID,
        flow_slugs: Sequence[str],
        capacity: int,
        reports: Sequence[TaskReport] = (),
        *,
        listening: bool = True,
    ) -> Query[ExchangeRecord]:
        """Refuse; ``worker.portable`` does the same in several statements."""
        raise self.not_supported("Exchanging tasks in one statement")

    # -- parts

    def _refuse_options(self, delay: float | None, at: datetime | None, meta: str | None) -> None:
        if delay is not None or at is not None:
            raise self.not_supported("Starting a run later")
        if meta is not None:
            self._need_schema("Keeping a note with a run")

    def _need_schema(self, what: str) -> None:
        if not self._is_beside:
            raise self.not_supported(what, "the schema 'django_pgflow' (run `manage.py migrate`)")

    @staticmethod
    def _note(meta: str | None) -> str:
        """Return what keeps a note with the runs that were started, in our own table."""
        if meta is None:
            return ""
        return """,
                noted as (
                  insert into django_pgflow.run_details (run_id, meta)
                  select started.run_id, %(meta)s::jsonb from started
                )"""

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
