"""One task: from its input, through the handler, to what is reported."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils import timezone

from django_pgflow.db.records import ExchangeRecord, TaskReport
from django_pgflow.dsl.context import Context

if TYPE_CHECKING:
    from django_pgflow.dsl.definition import FlowDefinition
    from django_pgflow.dsl.steps import Step

ERROR_LIMIT = 10_000
"""Characters of an error message that are kept."""

TaskKey = tuple[UUID, str, int]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one attempt ended.

    Attributes:
        kind: As ``TaskReport.outcome``.
        output: JSON text of a completed task.
        error_message: Text of a failed one.
        exception: What the handler raised; None after a timeout.
        seconds: How long it took.
    """

    kind: str
    seconds: float
    output: str | None = None
    error_message: str | None = None
    exception: BaseException | None = None


@dataclass(eq=False, kw_only=True, slots=True)
class Task:
    """A task that this worker claimed. Claimed twice, it is two of these: equal only to itself."""

    record: ExchangeRecord
    flow: FlowDefinition
    step: Step[..., Any]
    context: Context
    flow_input: Any = None
    began: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> TaskKey:
        """Run, step and index."""
        return (self.record.run_id, self.record.step_slug, self.record.task_index)

    @property
    def is_last_attempt(self) -> bool:
        """Whether a failure of this attempt is final."""
        return self.record.attempt >= self.record.max_attempts

    def log_fields(self) -> dict[str, Any]:
        """Return what a log line says of every task, for ``extra``."""
        return {
            "flow": self.record.flow_slug,
            "run": str(self.record.run_id),
            "step": self.record.step_slug,
            "index": self.record.task_index,
            "attempt": self.record.attempt,
        }

    def seconds(self) -> float:
        """Return the seconds since the task began."""
        return time.monotonic() - self.began

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Return what to call the handler with."""
        args, kwargs = self.step.arguments(self.record.input, context=self.context, flow_input=self.flow_input)
        return args, kwargs

    def completed(self, value: Any) -> Outcome:
        """Make an outcome of what the handler returned.

        Raises:
            NotSerializable: It cannot be stored.
        """
        return Outcome(kind="completed", output=self.step.encode_output(value), seconds=self.seconds())

    def failed(self, exception: BaseException) -> Outcome:
        """Make an outcome of what the handler raised."""
        return Outcome(kind="failed", error_message=error_text(exception), exception=exception, seconds=self.seconds())

    def timed_out(self) -> Outcome:
        """Make the outcome of an attempt that took longer than its step may."""
        message = f"TimeoutError: timed out after {self.record.timeout} s"
        return Outcome(kind="failed", error_message=message, seconds=self.seconds())

    def released(self) -> Outcome:
        """Make the outcome of an attempt that is given back: it does not count."""
        return Outcome(kind="released", seconds=self.seconds())

    def report(self, outcome: Outcome) -> TaskReport:
        """Return what to tell the database."""
        return TaskReport(
            run_id=self.record.run_id,
            step_slug=self.record.step_slug,
            task_index=self.record.task_index,
            attempt=self.record.attempt,
            outcome=outcome.kind,
            output=outcome.output,
            error_message=outcome.error_message,
        )


def make(record: ExchangeRecord, flow: FlowDefinition, step: Step[..., Any]) -> Task:
    """Make the task of a claimed record."""
    context = Context(
        run_id=record.run_id,
        flow_slug=record.flow_slug,
        step_slug=record.step_slug,
        task_index=record.task_index,
        attempt=record.attempt,
        max_attempts=record.max_attempts,
        timeout=record.timeout,
        deadline=timezone.now() + timedelta(seconds=record.timeout),
    )
    return Task(record=record, flow=flow, step=step, context=context)


def error_text(exception: BaseException) -> str:
    """Return ``"ClassName: message"``, such that Postgres can store it, of at most ``ERROR_LIMIT`` characters."""
    name = type(exception).__name__
    try:
        message = str(exception)
    except Exception as broken:
        message = f"(its message could not be read: {type(broken).__name__})"
    return storable(f"{name}: {message}" if message else name)


def storable(text: str) -> str:
    """Return a text without what Postgres refuses (NUL, lone surrogates), cut to ``ERROR_LIMIT`` characters."""
    text = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= ERROR_LIMIT else text[: ERROR_LIMIT - 1] + "…"
