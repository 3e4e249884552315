"""The core in a transaction: the verbs of the model as statements, and all that they left behind as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql as text
from psycopg.types.json import Jsonb

from tests.fixtures.sql import Sql
from tests.model.contract import STALLED
from tests.model.values import ABSENT, Flow, Report, TaskKey

RECEIVER = """
create schema realtime;
create table realtime.sent (id bigint generated always as identity, topic text, event text);
create function realtime.send(payload jsonb, event text, topic text, private boolean) returns void language sql as
  $$ insert into realtime.sent (topic, event) values (send.topic, send.event) $$;
"""


def jsonb(value: Any) -> Jsonb | None:
    """Make an argument of a JSON value."""
    return None if value is ABSENT else Jsonb(value)


class Database:
    """A session with flows of its own, whose transaction is rolled back at the end."""

    def __init__(self, sql: Sql, flows: Sequence[Flow]) -> None:
        self.sql = sql
        self.flows = [flow.slug for flow in flows]
        self.workers = [UUID(int=101), UUID(int=102)]
        self.sql.rows(RECEIVER)
        self.sql.connection.cursor().executemany(
            "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, 'model', 'model')",
            [(worker,) for worker in self.workers],
        )
        for flow in flows:
            self._define(flow)

    def _define(self, flow: Flow) -> None:
        options = {"max_attempts": flow.max_attempts, "base_delay": flow.base_delay, "timeout": flow.timeout}
        self.sql.call("pgflow.create_flow", flow_slug=flow.slug, **options)
        for step in flow.steps:
            self.sql.add_step(
                flow.slug,
                step.slug,
                step.deps,
                max_attempts=step.max_attempts,
                base_delay=step.base_delay,
                timeout=step.timeout,
                start_delay=step.start_delay,
                step_type="map" if step.is_map else "single",
                required_input_pattern=None if step.required is None else Jsonb(step.required),
                forbidden_input_pattern=None if step.forbidden is None else Jsonb(step.forbidden),
                when_unmet=step.when_unmet,
                when_exhausted=step.when_exhausted,
            )

    # Verbs

    def start(self, flow: Flow, run_id: UUID, value: Any) -> str:
        """Start a run; return the error, if it is refused, else nothing."""
        try:
            with self.sql.transaction():
                self.sql.call("pgflow.start_flow", flow_slug=flow.slug, input=jsonb(value), run_id=run_id)
        except psycopg.Error as error:
            return str(error.diag.message_primary)
        return ""

    def start_many(self, flow: Flow, run_ids: Sequence[UUID], values: Sequence[Any]) -> str:
        """Start several runs at once; return the error, if they are refused, else nothing."""
        try:
            with self.sql.transaction():
                inputs = [jsonb(value) for value in values]
                self.sql.call("django_pgflow.start_flows", flow_slug=flow.slug, inputs=inputs, run_ids=list(run_ids))
        except psycopg.Error as error:
            return str(error.diag.message_primary)
        return ""

    def start_tasks(self, flow_slug: str, message_ids: Iterable[int | None], worker: UUID) -> dict[TaskKey, Any]:
        """Claim; return the input of each task."""
        rows = self.sql.start_tasks(flow_slug, [m for m in message_ids if m is not None], worker)
        return {(row.run_id, row.step_slug, row.task_index): row.input for row in rows}

    def exchange(
        self, worker: UUID, flow_slugs: Sequence[str], capacity: int, reports: Sequence[Report]
    ) -> tuple[dict[TaskKey, Any], list[tuple[TaskKey, int | None]]]:
        """Report and claim; return input, attempt, attempts in all and timeout of each task, and what was refused."""
        rows = self.sql.call(
            "django_pgflow.exchange",
            worker_id=worker,
            flow_slugs=list(flow_slugs),
            capacity=capacity,
            run_ids=[report.run_id for report in reports],
            step_slugs=[report.step_slug for report in reports],
            task_indexes=[report.task_index for report in reports],
            attempts=[report.attempt for report in reports],
            outcomes=[report.outcome for report in reports],
            outputs=[jsonb(report.output) for report in reports],
            error_messages=[report.error for report in reports],
            delays=[report.delay for report in reports],
        )
        claimed = {
            (row.run_id, row.step_slug, row.task_index): (row.input, row.attempt, row.max_attempts, row.timeout)
            for row in rows
            if row.kind == "claimed"
        }
        refused = [((r.run_id, r.step_slug, r.task_index), r.attempt) for r in rows if r.kind == "refused"]
        assert len(claimed) + len(refused) == len(rows)
        return claimed, refused

    def report(self, report: Report, worker: UUID | None) -> str | None:
        """Complete or fail a task by the contract's functions; return the status that they answer."""
        arguments: dict[str, Any] = {
            "run_id": report.run_id,
            "step_slug": report.step_slug,
            "task_index": report.task_index,
        }
        if worker or report.attempt:
            arguments |= {"worker_id": worker, "attempt": report.attempt}
        if report.outcome == "completed":
            rows = self.sql.call("pgflow.complete_task", output=jsonb(report.output), **arguments)
        else:
            rows = self.sql.call("pgflow.fail_task", error_message=report.error, **arguments)
        return rows[0].status if rows else None

    def cancel(self, run_ids: Sequence[UUID]) -> list[tuple[UUID, str]]:
        """Cancel runs; return the outcomes."""
        return [tuple(row) for row in self.sql.call("django_pgflow.cancel_runs", run_ids=list(run_ids))]

    def resume(self, run_ids: Sequence[UUID]) -> list[tuple[UUID, str]]:
        """Take failed runs up again; return the outcomes."""
        return [tuple(row) for row in self.sql.call("django_pgflow.resume_runs", run_ids=list(run_ids))]

    def retry(self, keys: Sequence[TaskKey]) -> list[tuple[TaskKey, str]]:
        """Retry failed tasks; return the outcomes."""
        rows = self.sql.call(
            "django_pgflow.retry_tasks",
            run_ids=[key[0] for key in keys],
            step_slugs=[key[1] for key in keys],
            task_indexes=[key[2] for key in keys],
        )
        return [((row.run_id, row.step_slug, row.task_index), row.outcome) for row in rows]

    def force_skip(self, run_id: UUID, step_slug: str, reason: str) -> None:
        """Skip a step with all behind it, and complete the run if that was the rest."""
        skip = "select pgflow._cascade_force_skip_steps(%(run_id)s, %(slug)s, %(reason)s)"
        self.sql.rows(skip, run_id=run_id, slug=step_slug, reason=reason)
        self.sql.rows("select pgflow.maybe_complete_run(%(run_id)s)", run_id=run_id)

    def push(self, run_id: UUID) -> tuple[bool, int]:
        """Decide conditions, complete and start steps, complete the run; return what the first two say."""
        decided = self.sql.value("select pgflow.cascade_resolve_conditions(%(run_id)s)", run_id=run_id)
        completed = self.sql.value("select pgflow.cascade_complete_taskless_steps(%(run_id)s)", run_id=run_id)
        self.sql.rows("select pgflow.start_ready_steps(%(run_id)s)", run_id=run_id)
        self.sql.rows("select pgflow.maybe_complete_run(%(run_id)s)", run_id=run_id)
        return decided, completed

    # Time

    def set_visible(self, flow_slug: str, message_ids: Iterable[int | None]) -> None:
        """Let time pass until messages are visible."""
        query = "update {} set vt = clock_timestamp() where msg_id = any (%(ids)s)"
        self.sql.rows(text.SQL(query).format(self._queue(flow_slug)), ids=list(message_ids))

    def age(self, key: TaskKey, seconds: float) -> None:
        """Let a task have been queued and started so much earlier."""
        self.sql.rows(
            "update pgflow.step_tasks set queued_at = queued_at - make_interval(secs => %(seconds)s), "
            "started_at = started_at - make_interval(secs => %(seconds)s) "
            "where run_id = %(run_id)s and step_slug = %(step_slug)s and task_index = %(task_index)s",
            seconds=seconds,
            run_id=key[0],
            step_slug=key[1],
            task_index=key[2],
        )

    def stop_the_clock(self) -> None:
        """Keep hidden what is, however long the rest of the example takes."""
        for flow_slug in self.flows:
            query = "update {} set vt = vt + interval '1 hour' where vt > clock_timestamp()"
            self.sql.rows(text.SQL(query).format(self._queue(flow_slug)))

    # Looking

    def runs(self) -> dict[UUID, Any]:
        """Return what is to be known of runs, by id."""
        rows = self._select(
            """
            select r.run_id, r.status, r.output, r.output is null as is_absent,
              case when r.status = 'started' then r.remaining_steps end as remaining_steps,
              d.cancelled_at is not null as cancelled,
              num_nonnulls(r.completed_at, r.failed_at) as ends, coalesce(r.completed_at, r.failed_at) as ended_at
            from pgflow.runs r
            left join django_pgflow.run_details d on d.run_id = r.run_id
            where r.flow_slug = any (%(flows)s)
            """
        )
        for row in rows:
            assert row.ends == (row.status != "started"), row
        return {
            row.run_id: (row.status, ABSENT if row.is_absent else row.output, row.remaining_steps, row.cancelled)
            for row in rows
        }

    def states(self) -> dict[tuple[UUID, str], Any]:
        """Return what is to be known of step states, by run and step."""
        rows = self._select(
            "select *, output is null as is_absent from pgflow.step_states where flow_slug = any (%(flows)s)"
        )
        for row in rows:
            assert (row.completed_at is not None) == (row.status == "completed"), row
            assert (row.failed_at is not None) == (row.status == "failed"), row
            assert (row.skipped_at is not None) == (row.status == "skipped"), row
        return {
            (row.run_id, row.step_slug): (
                row.status,
                ABSENT if row.is_absent else row.output,
                short(row.error_message),
                row.skip_reason,
                row.remaining_deps if row.status == "created" else None,
                row.initial_tasks if row.status in {"created", "started", "completed"} else None,
                row.remaining_tasks if row.status in {"started", "completed"} else None,
            )
            for row in rows
        }

    def tasks(self) -> list[Any]:
        """Return the rows of all tasks in the order of their keys."""
        return self._select(
            "select *, output is null as is_absent from pgflow.step_tasks where flow_slug = any (%(flows)s) "
            "order by run_id, step_slug, task_index"
        )

    def failed_attempts(self) -> dict[tuple[UUID, str, int, int], str | None]:
        """Return the errors of all failed attempts."""
        rows = self._select(
            "select a.* from django_pgflow.failed_attempts a join pgflow.runs r on r.run_id = a.run_id "
            "where r.flow_slug = any (%(flows)s)"
        )
        return {(r.run_id, r.step_slug, r.task_index, r.attempt): short(r.error_message) for r in rows}

    def events(self) -> dict[str, list[str]]:
        """Return the names of all events by run, in the order in which they were sent."""
        events: dict[str, list[str]] = {}
        for row in self.sql.rows("select topic, event from realtime.sent order by id"):
            events.setdefault(row.topic.removeprefix("pgflow:run:"), []).append(row.event)
        return events

    def queue(self, flow_slug: str) -> dict[int, tuple[Any, bool]]:
        """Return body and visibility of the messages in a queue."""
        query = "select msg_id, message, vt <= clock_timestamp() as visible from {}"
        rows = self.sql.rows(text.SQL(query).format(self._queue(flow_slug)))
        return {row.msg_id: (row.message, row.visible) for row in rows}

    def archive(self, flow_slug: str) -> list[int]:
        """Return the ids of the archived messages."""
        return [row.msg_id for row in self.sql.archived_messages(flow_slug)]

    def _queue(self, flow_slug: str) -> text.Identifier:
        return text.Identifier("pgmq", f"q_{flow_slug}")

    def _select(self, query: str) -> list[Any]:
        return self.sql.rows(query, flows=self.flows)


def short(error: str | None) -> str | None:
    """Cut the words about stalling short."""
    return STALLED if error is not None and error.startswith(STALLED) else error
