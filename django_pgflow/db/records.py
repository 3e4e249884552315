"""Rows as frozen dataclasses, read by column name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID


class Record:
    """Base of the records: made of a row, by the names of its columns."""

    @classmethod
    def read(cls, row: dict[str, Any]) -> Self:
        """Make a record of a row; columns that it does not know are passed over."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True)
class RunRecord(Record):
    """A row of ``pgflow.runs``, without its input."""

    run_id: UUID
    flow_slug: str
    status: str
    output: Any
    remaining_steps: int
    started_at: datetime
    completed_at: datetime | None
    failed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class StartRecord(RunRecord):
    """A run that was to be started. ``created`` is False if it existed already."""

    created: bool


@dataclass(frozen=True, kw_only=True)
class RunFailureRecord(Record):
    """The first thing that went wrong in a run. ``task_index`` is None where a step failed without a task."""

    step_slug: str
    task_index: int | None
    error_message: str | None


@dataclass(frozen=True, kw_only=True)
class CancellationRecord(Record):
    """That a run was cancelled, and what was said then."""

    cancelled_at: datetime
    cancel_reason: str | None


@dataclass(frozen=True, kw_only=True)
class RunOutcomeRecord(Record):
    """What became of one run that was to be cancelled or resumed.

    Attributes:
        outcome: Of ``django_pgflow.cancel_runs``: ``"cancelled"``, ``"not_found"``, ``"ended"`` (before). Of
            ``django_pgflow.resume_runs``: ``"resumed"``, ``"not_found"``, ``"not_failed"``, ``"condition"`` (it failed
            by a condition on its input, which cannot change).
    """

    run_id: UUID
    outcome: str


@dataclass(frozen=True, kw_only=True)
class ExchangeRecord(Record):
    """A row of what ``django_pgflow.exchange`` returns.

    Attributes:
        kind: ``"claimed"``: a task for this worker. ``"refused"``: a report of this worker that did not count,
            because another attempt or worker has the task, or its run has ended; only the three columns that
            name the task and ``attempt`` are set then.
        input: For a map step the element alone; else ``{"run": <flow input>, "<dep>": <output>, ...}``.
        attempt: Which try this is, counted from 1; the fence of the report.
        max_attempts: Tries in all.
        timeout: Seconds that the handler may take.
        requeued_count: How often a worker died with this task in its hands.
    """

    kind: str
    flow_slug: str
    run_id: UUID
    step_slug: str
    task_index: int
    attempt: int
    input: Any
    msg_id: int
    max_attempts: int
    timeout: int
    requeued_count: int = 0


@dataclass(frozen=True, kw_only=True)
class HeldRecord(Record):
    """A task that the database thinks is being executed by a worker, in a run that lives."""

    run_id: UUID
    step_slug: str
    task_index: int
    attempt: int


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """What a worker has to say of a task that it claimed.

    Attributes:
        outcome: ``"completed"``; ``"failed"`` (the database decides whether to retry); ``"exhausted"`` (failed for
            good, whatever attempts are left); ``"released"`` (given back: queued again, the attempt not counted);
            ``"skipped"`` (the handler had its step skipped).
        output: JSON text for ``completed``; ``"null"`` is JSON null.
        error_message: Text for ``failed`` and ``exhausted``; the reason for ``skipped``.
        delay: Seconds until a failed or released task may be claimed again; None: by the flow's rule if it failed, at
            once if it was released.
        error_class: Dotted path of the exception of a failed attempt.
        traceback: Its text.
    """

    run_id: UUID
    step_slug: str
    task_index: int
    attempt: int
    outcome: str
    output: str | None = None
    error_message: str | None = None
    delay: int | None = None
    error_class: str | None = None
    traceback: str | None = None

    @classmethod
    def released(cls, task: ExchangeRecord | HeldRecord) -> Self:
        """Make the report that gives a task back."""
        return cls(
            run_id=task.run_id,
            step_slug=task.step_slug,
            task_index=task.task_index,
            attempt=task.attempt,
            outcome="released",
        )


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """How many more tasks of some flows and steps a worker can take; it has any room for what is not named.

    Attributes:
        flows: By slug.
        steps: By slugs of flow and step.
    """

    flows: Mapping[str, int] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def less(self, claimed: Iterable[ExchangeRecord]) -> Rooms:
        """Return what is left after some tasks were claimed."""
        if not self.flows and not self.steps:
            return self
        flows: Counter[str] = Counter()
        steps: Counter[tuple[str, str]] = Counter()
        for record in claimed:
            flows[record.flow_slug] += 1
            steps[record.flow_slug, record.step_slug] += 1
        return Rooms(
            flows={slug: room - flows[slug] for slug, room in self.flows.items()},
            steps={
                flow_slug: {slug: room - steps[flow_slug, slug] for slug, room in rooms.items()}
                for flow_slug, rooms in self.steps.items()
            },
        )


ANY_ROOM = Rooms()


@dataclass(frozen=True, kw_only=True)
class RetryRecord(Record):
    """What became of one task that ``django_pgflow.retry_tasks`` was asked to retry.

    Attributes:
        outcome: ``"queued"``; or why not: ``"not_found"``, ``"not_failed"`` (the task is in another status),
            ``"run_not_failed"`` (its step was skipped and the run went on), ``"condition"`` (the run failed by a
            condition on its input, which no retry can change).
    """

    run_id: UUID
    step_slug: str
    task_index: int
    outcome: str


@dataclass(frozen=True, kw_only=True)
class ProgressReport:
    """How far a task is: so much done, of a total that may be unknown, and a text for people."""

    run_id: UUID
    step_slug: str
    task_index: int
    attempt: int
    done: float
    total: float | None
    text: str


@dataclass(frozen=True, kw_only=True)
class WorkerDetails:
    """What others can know of a worker.

    Attributes:
        hostname, pid: Where it runs.
        version: Of this package.
        concurrency: Tasks that it executes at a time.
        holds_lock: Whether it is lost as soon as its advisory lock is free.
        silence: Seconds without a sign of life after which it is lost in any case.
    """

    hostname: str
    pid: int
    version: str
    concurrency: int
    holds_lock: bool
    silence: int


@dataclass(frozen=True, kw_only=True)
class HeartbeatRecord(Record):
    """What a worker hears when it gives a sign of life.

    Attributes:
        is_deprecated: An operator asked it to stop taking work.
        is_stopped: It was taken for lost, and its tasks were given back.
    """

    is_deprecated: bool
    is_stopped: bool


@dataclass(frozen=True, kw_only=True)
class LossRecord(Record):
    """What ``django_pgflow.requeue_lost_tasks`` found.

    Attributes:
        alive_count: Workers of this package that live.
        lost_count: Workers that are lost since this call.
        requeued_count: Tasks of theirs that were given back.
    """

    alive_count: int
    lost_count: int
    requeued_count: int
