"""One task: from its input, through the handler, to what is reported."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django_pgflow import exceptions
from django_pgflow.db.records import ExchangeRecord, TaskReport
from django_pgflow.dsl.context import Context, Message
from django_pgflow.worker.control import UNKNOWN, Controls, TaskControl

if TYPE_CHECKING:
    from django_pgflow.dsl.definition import FlowDefinition
    from django_pgflow.dsl.steps import Step

ERROR_LIMIT = 10_000
"""Characters of an error message that are kept."""
TRACEBACK_LIMIT = 50_000
"""Characters of a traceback that are kept, most of them from its end."""
OWN_FRAMES = __name__.rpartition(".")[0]
"""The package whose frames begin each traceback and tell nobody anything."""

FINAL = (exceptions.NonRetryable, exceptions.DependencySkipped)
"""What no further attempt can change, besides the step's ``no_retry``."""

TaskKey = tuple[UUID, str, int]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one attempt ended.

    Attributes:
        kind: As ``TaskReport.outcome``; or, of an atomic step, ``"committed"`` (completed, in the handler's own commit)
            or ``"refused"`` (rolled back, because the task is no longer ours), of which nothing is to be reported.
        output: JSON text of a completed task.
        error_message: Text of a failed one, or the reason of a skipped one.
        error_class: Dotted path of what the handler raised.
        traceback: The text of its traceback; None after a timeout.
        delay: Seconds until the next attempt, if the handler chose.
        exception: What the handler raised; None after a timeout.
        seconds: How long it took.
    """

    kind: str
    seconds: float
    output: str | None = None
    error_message: str | None = None
    error_class: str | None = None
    traceback: str | None = None
    delay: int | None = None
    exception: BaseException | None = None

    @property
    def has_completed(self) -> bool:
        """Whether the handler returned what the task was to give."""
        return self.kind in ("completed", "committed")

    @property
    def is_settled(self) -> bool:
        """Whether the database knows of it already."""
        return self.kind in ("committed", "refused")

    @property
    def has_failed(self) -> bool:
        """Whether the attempt failed."""
        return self.kind in ("failed", "exhausted")


@dataclass(eq=False, kw_only=True, slots=True)
class Task:
    """A task that this worker claimed. Claimed twice, it is two of these: equal only to itself."""

    record: ExchangeRecord
    flow: FlowDefinition
    step: Step[..., Any]
    controls: Controls
    flow_input: Any = None
    began: float = field(init=False)
    control: TaskControl = field(init=False)
    _context: Context | None = field(init=False)

    def begin(self) -> None:
        """Note that the attempt, and its time, begins now; before that it may have waited for a slot."""
        self.began = time.monotonic()
        self.control = self.controls.make(self.record)
        self._context = None

    @property
    def key(self) -> TaskKey:
        """Run, step and index."""
        return (self.record.run_id, self.record.step_slug, self.record.task_index)

    @property
    def context(self) -> Context:
        """What the handler can know; made when it is first asked for, since most handlers do not."""
        if self._context is None:
            record = self.record
            if self.step.step_type == "single":
                self.control.known_flow_input = record.input.get("run", UNKNOWN)
            elif self.step.wants_flow_input:
                self.control.known_flow_input = self.flow_input
            self._context = Context(
                run_id=record.run_id,
                flow_slug=record.flow_slug,
                step_slug=record.step_slug,
                task_index=record.task_index,
                attempt=record.attempt,
                max_attempts=record.max_attempts,
                timeout=record.timeout,
                worker=self.control.worker,
                message=Message(queue=record.flow_slug, msg_id=record.msg_id),
                _control=self.control,
            )
        return self._context

    def give_context(self) -> Context:
        """Return ``context``, for ``dsl.context.current``."""
        return self.context

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

        What cannot be stored is a failure, and not tried again; a wrong type where a list is due is tried again, as the
        handler's own errors are.

        Raises:
            NotAList: An array step returned something else.
        """
        try:
            return Outcome(kind="completed", output=self.step.encode_output(value), seconds=self.seconds())
        except exceptions.NotAList:
            raise
        except exceptions.NotSerializable as error:
            return self.failed(error, final=True)

    def failed(self, exception: BaseException, *, final: bool = False) -> Outcome:
        """Make an outcome of what the handler raised.

        Args:
            exception: What it raised; a RetryAfter and a SkipStep say themselves what follows.
            final: Whether no further attempt is to be made.
        """
        if isinstance(exception, exceptions.SkipStep):
            reason = storable(str(exception))
            return Outcome(kind="skipped", error_message=reason or None, exception=exception, seconds=self.seconds())
        if isinstance(exception, exceptions.Interrupted):
            return self.released(exception)
        delay = exception.seconds() if isinstance(exception, exceptions.RetryAfter) else None
        if isinstance(exception, exceptions.RetryAfter) and not exception.count:
            return Outcome(kind="released", delay=delay, exception=exception, seconds=self.seconds())
        final = final or isinstance(exception, (*FINAL, *self.step.no_retry))
        return Outcome(
            kind="exhausted" if final else "failed",
            error_message=error_text(exception),
            error_class=class_path(type(exception)),
            traceback=traceback_text(exception),
            delay=delay,
            exception=exception,
            seconds=self.seconds(),
        )

    def timed_out(self) -> Outcome:
        """Make the outcome of an attempt that took longer than its step may."""
        return Outcome(
            kind="failed",
            error_message=f"TimeoutError: timed out after {self.record.timeout} s",
            error_class=class_path(TimeoutError),
            seconds=self.seconds(),
        )

    def released(self, exception: BaseException | None = None) -> Outcome:
        """Make the outcome of an attempt that is given back: it does not count."""
        return Outcome(kind="released", exception=exception, seconds=self.seconds())

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
            delay=outcome.delay,
            error_class=outcome.error_class,
            traceback=outcome.traceback,
        )


def make(record: ExchangeRecord, flow: FlowDefinition, step: Step[..., Any], controls: Controls) -> Task:
    """Make a task whose attempt begins now; away from its worker, with ``control.DetachedControls``."""
    task = Task(record=record, flow=flow, step=step, controls=controls)
    task.begin()
    return task


def error_text(exception: BaseException) -> str:
    """Return ``"ClassName: message"``, such that Postgres can store it, of at most ``ERROR_LIMIT`` characters."""
    name = type(exception).__name__
    try:
        message = str(exception)
    except Exception as broken:
        message = f"(its message could not be read: {type(broken).__name__})"
    return storable(f"{name}: {message}" if message else name)


def class_path(cls: type[BaseException]) -> str:
    """Return the dotted path of a class, by which it can be imported."""
    return storable(f"{cls.__module__}.{cls.__qualname__}")


def traceback_text(exception: BaseException) -> str:
    """Return the traceback from the handler on, with the exceptions that led to it, such that Postgres can store it.

    Of a long one the end is kept, and a little of the beginning.
    """
    frames = exception.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "").startswith(OWN_FRAMES):
        frames = frames.tb_next
    try:
        text = "".join(traceback.format_exception(type(exception), exception, frames))
    except Exception as broken:
        text = f"(its traceback could not be written: {type(broken).__name__})"
    text = storable(text, limit=None)
    if len(text) <= TRACEBACK_LIMIT:
        return text
    head = TRACEBACK_LIMIT // 5
    return f"{text[:head]}\n…\n{text[head + 3 - TRACEBACK_LIMIT :]}"


def storable(text: str, *, limit: int | None = ERROR_LIMIT) -> str:
    """Return a text without what Postgres refuses (NUL, lone surrogates), cut to so many characters."""
    text = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"
