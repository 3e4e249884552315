"""Every error that django-pgflow raises on purpose.

PgflowError
+-- FlowDefinitionError      a flow in a flows.py is written wrongly; names file and line
+-- FlowNotFound             no flow of that slug in the code
+-- FlowNotInstalled         the flow is in the code, not in the database
+-- ShapeMismatch            code and database disagree about the steps of a flow that has runs
+-- InvalidInput             the input of a run is not what the flow takes
+-- NotSerializable          a value cannot be stored as JSON; names the path to it
|   +-- NotAList             an array step returned something else
+-- RunNotFound              no run of that id
+-- RunExists                a run was to get an id that another has
+-- RunError                 waiting for a run ended without its output
|   +-- RunFailed
|   +-- RunCancelled
|   +-- RunTimeout
+-- WrongStatus              a verb that the state of the run does not allow; nothing was changed
|   +-- RunEnded             cancelling a run that has ended
|   +-- RunNotFailed         resuming a run that has not failed
|   +-- FailedByCondition    resuming a run that failed by a condition on its input
+-- HandlerDecision          raised by handlers, to say what becomes of their task
|   +-- NonRetryable
|   +-- RetryAfter
|   +-- SkipStep
|   +-- Interrupted          raised by ctx.check(), to end a handler that should not go on
|       +-- ShuttingDown
|       +-- TaskCancelled
+-- DependencySkipped        a handler needs the output of a step that was skipped
+-- ProcessDied              the process that executed a handler has died under it
+-- RemoteError              what a handler raised in another process, as text
+-- WouldDeadlock            waiting for a run that nobody else can see yet
+-- ReadOnly                 a write through the ORM to a table that only the core writes
+-- CoreError                what is installed in the database is not what is needed
    +-- CoreMissing
    +-- ForeignCore
    +-- NotSupported
"""

from __future__ import annotations

import contextlib
import math
import signal
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID


class PgflowError(Exception):
    """Base of all errors of django-pgflow."""


class FlowDefinitionError(PgflowError):
    """A flow, step or option is declared wrongly.

    Attributes:
        location: ``"path/to/flows.py:12"`` where the declaration stands, or ``""``.
        check_id: The id under which ``manage.py check`` reports the same mistake, or ``""``.
    """

    def __init__(self, message: str, *, location: str = "", check_id: str = "") -> None:
        self.location = location
        self.check_id = check_id
        super().__init__(f"{location}: {message}" if location else message)


class FlowNotFound(PgflowError):
    """No flow is registered under this slug."""

    def __init__(self, slug: str, known: Iterable[str]) -> None:
        self.slug = slug
        super().__init__(
            f"No flow is registered as {slug!r}. Registered: {', '.join(sorted(known)) or 'none'}. "
            "Is its app in INSTALLED_APPS, and does that app's flows.py import?"
        )


class FlowNotInstalled(PgflowError):
    """The flow is not in the database yet."""

    def __init__(self, slug: str, database: str) -> None:
        self.slug = slug
        self.database = database
        super().__init__(
            f"The flow {slug!r} is not in the database {database!r}. "
            "Run `manage.py pgflow_sync` (or `manage.py migrate`) on it, or start a worker of that flow."
        )


class ShapeMismatch(PgflowError):
    """The steps of a flow differ between code and database, and runs depend on the old ones."""

    def __init__(self, slug: str, differences: Iterable[str], run_count: int) -> None:
        self.slug = slug
        self.differences = list(differences)
        self.run_count = run_count
        super().__init__(
            f"The flow {slug!r} has other steps in the code than in the database, where runs of it exist "
            f"({run_count}). Nothing was changed. Differences: {'; '.join(self.differences)}. "
            f"Give the new flow a new slug ({slug}_v2) and keep the old one until its runs have ended, "
            f"or delete the flow with all its runs: `manage.py pgflow_sync --recreate {slug}`."
        )


class InvalidInput(PgflowError):
    """The input of a run is not what the flow takes."""

    def __init__(self, slug: str, reason: str) -> None:
        self.slug = slug
        self.reason = reason
        super().__init__(f"The flow {slug!r} was not started: {reason}")


class NotSerializable(PgflowError):
    """A value cannot be stored as JSON.

    Attributes:
        path: Where the value stands, as in ``$.lines[3].price``.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"The value at {path} cannot be stored as JSON: {reason}")


class NotAList(NotSerializable):
    """An array step returned something other than a list."""

    def __init__(self, step_slug: str, value: Any) -> None:
        self.step_slug = step_slug
        super().__init__(
            "$", f"the step {step_slug!r} is an array step and must return a list, not a {type(value).__name__}."
        )


class RunNotFound(PgflowError):
    """No run has this id."""

    def __init__(self, run_id: UUID | str) -> None:
        self.run_id = run_id
        super().__init__(f"There is no run {run_id}. Was its transaction rolled back, or was the run pruned?")


class RunExists(PgflowError):
    """A run was to get an id that is taken. Nothing was started."""

    def __init__(self, flow_slug: str) -> None:
        self.flow_slug = flow_slug
        super().__init__(
            f"The flow {flow_slug!r} was not started: there is a run of that id already. To get the run that exists "
            "instead of this error, start with a key: `flow.using(key=...).start(...)`."
        )


class RunError(PgflowError):
    """A run did not give its output."""

    def __init__(self, run_id: UUID, message: str) -> None:
        self.run_id = run_id
        super().__init__(message)


class RunFailed(RunError):
    """The run failed.

    Attributes:
        flow_slug: The run's flow.
        step_slug: The step that failed first, or ``""`` if none is known.
        task_index: The failed task within the step, or ``None`` where the step failed without a task.
        error: The error text that the database holds.
    """

    def __init__(self, run_id: UUID, flow_slug: str, step_slug: str, task_index: int | None, error: str) -> None:
        self.flow_slug = flow_slug
        self.step_slug = step_slug
        self.task_index = task_index
        self.error = error
        where = f" at step {step_slug!r}" if step_slug else ""
        where += f" (task {task_index})" if task_index else ""
        super().__init__(run_id, f"Run {run_id} of flow {flow_slug!r} failed{where}: {error or 'no error text'}")


class RunCancelled(RunError):
    """The run was cancelled.

    Attributes:
        flow_slug: The run's flow.
        reason: What was said when it was cancelled; may be ``""``.
    """

    def __init__(self, run_id: UUID, flow_slug: str, reason: str) -> None:
        self.flow_slug = flow_slug
        self.reason = reason
        super().__init__(run_id, f"Run {run_id} of flow {flow_slug!r} was cancelled: {reason or 'no reason given'}")


class RunTimeout(RunError):
    """The run did not end in time. It goes on."""

    def __init__(self, run_id: UUID, seconds: float, status: str) -> None:
        self.seconds = seconds
        self.status = status
        super().__init__(
            run_id,
            f"Run {run_id} did not end within {seconds:g} seconds; its status is {status!r}. "
            "Does a worker serve its flow (`manage.py runpgflowworker`)?",
        )


class WrongStatus(PgflowError):
    """The state of a run does not allow what it was to do. Nothing was changed."""

    def __init__(self, run_id: UUID, message: str) -> None:
        self.run_id = run_id
        super().__init__(message)


class RunEnded(WrongStatus):
    """A run that has ended cannot be cancelled."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(run_id, f"Run {run_id} was not cancelled: it has ended already.")


class RunNotFailed(WrongStatus):
    """A run that has not failed cannot be resumed."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(
            run_id,
            f"Run {run_id} was not resumed: it has not failed, nor was it cancelled. "
            "To run it once more from the beginning, use `run.restart()`.",
        )


class FailedByCondition(WrongStatus):
    """A run that failed by a condition on its input would fail again."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(
            run_id,
            f"Run {run_id} was not resumed: a condition with when_unmet='fail' was not met, and its input cannot "
            "change. Start a new run with another input: `run.restart(...)`.",
        )


class HandlerDecision(PgflowError):
    """Raised by a handler to say what becomes of its task."""


class NonRetryable(HandlerDecision):
    """The task has failed, and another attempt would fail as well: ``raise NonRetryable("no such customer")``.

    The step's ``when_exhausted`` decides what follows, as if the attempts were used up.
    """


class RetryAfter(HandlerDecision):
    """The task has failed, and is to be tried again after a time: ``raise RetryAfter(30)``.

    Args:
        when: Seconds from now, a ``timedelta``, or an aware ``datetime``. A fraction of a second is rounded up, what
            has passed means at once.
        message: For people.
        count: False for an attempt that is not to count against ``max_attempts``, as when a rate limit was hit. Such
            a task can be tried without end.
    """

    LONGEST = 1_000_000_000
    """Seconds; thirty years. The database has 32 bits."""

    def __init__(self, when: float | timedelta | datetime, message: str = "", *, count: bool = True) -> None:
        if isinstance(when, bool) or not isinstance(when, int | float | timedelta | datetime):
            raise TypeError(f"RetryAfter takes seconds, a timedelta or a datetime, not {when!r}.")
        if isinstance(when, datetime) and when.utcoffset() is None:
            raise TypeError(f"RetryAfter takes an aware datetime, not the naive {when!r}: use django.utils.timezone.")
        if isinstance(when, float) and math.isnan(when):
            raise TypeError("RetryAfter takes seconds, not NaN.")
        self.when = when
        self.count = count
        super().__init__(message or (f"at {when}" if isinstance(when, datetime) else f"after {when}"))

    def seconds(self) -> int:
        """Return the seconds from now, whole and not negative."""
        when = self.when
        if isinstance(when, datetime):
            when = when - datetime.now(when.tzinfo)
        if isinstance(when, timedelta):
            when = when.total_seconds()
        return math.ceil(min(max(when, 0), self.LONGEST))


class SkipStep(HandlerDecision):
    """The step is to be skipped, and the run to go on without it: ``raise SkipStep("nothing to do")``.

    All tasks of the step end. With ``when_exhausted="skip-cascade"`` the steps that depend on it are skipped, too.
    """


class Interrupted(HandlerDecision):
    """Raised by ``ctx.check()``. The attempt does not count."""


class ShuttingDown(Interrupted):
    """The worker was told to stop. The task is given back, and another worker does it from the start."""


class TaskCancelled(Interrupted):
    """The run was cancelled, or the task is another worker's by now: no result of this attempt will count."""


class DependencySkipped(PgflowError, TypeError):
    """A handler needs the output of a step that was skipped in this run."""

    def __init__(self, step_slug: str, dependency: str) -> None:
        self.step_slug = step_slug
        self.dependency = dependency
        super().__init__(
            f"The handler of step {step_slug!r} needs the output of {dependency!r}, which has none in this "
            f"run: it was skipped. Give the parameter a default value: {dependency}=None."
        )


class ProcessDied(PgflowError):
    """A process that executes handlers has died.

    Attributes:
        returncode: Its exit code; negative for the number of the signal that killed it.
    """

    def __init__(self, returncode: int, *, starting: bool = False) -> None:
        self.returncode = returncode
        if returncode >= 0:
            how = f"with exit code {returncode}"
        else:
            how = f"of signal {-returncode}"
            with contextlib.suppress(ValueError):  # a real-time signal has no name
                how += f" ({signal.Signals(-returncode).name})"
        if returncode == -signal.SIGKILL:
            how += ", as when memory runs out"
        super().__init__(
            f"A process for handlers died {how} while it started; what it wrote to standard error says why."
            if starting
            else f"The process of the handler died {how}."
        )


class RemoteError(PgflowError):
    """What a handler raised in another process: class and message as text, the traceback as a note."""


class WouldDeadlock(PgflowError):
    """A wait that could not end: no worker can see the run before the open transaction commits."""

    def __init__(self, run_id: UUID) -> None:
        self.run_id = run_id
        super().__init__(
            f"Waiting for run {run_id} inside an open transaction would not end: no worker sees the run "
            "before the commit. Wait after the `transaction.atomic()` block."
        )


class ReadOnly(PgflowError, TypeError):
    """A write through the ORM to a table that only the functions of the core may write."""

    def __init__(self, model: str, verb: str) -> None:
        self.model = model
        self.verb = verb
        super().__init__(
            f"{model} is read-only, so {verb}() did nothing. Start a run with `flow.start(...)`, control it with "
            "`run.cancel()`, `run.resume()`, `run.retry()` or `django_pgflow.client.retry_tasks(...)`; definitions are "
            "written by `manage.py pgflow_sync`."
        )


class CoreError(PgflowError):
    """What is installed in the database is not what is needed."""


class CoreMissing(CoreError):
    """The tables and functions are not installed."""

    def __init__(self, database: str) -> None:
        self.database = database
        super().__init__(f"pgflow is not installed in the database {database!r}. Run `manage.py migrate`.")


class ForeignCore(CoreError):
    """The database has a schema of our name that is neither ours nor a core that we can work with.

    Attributes:
        database: The alias.
        schema: ``"pgflow"`` or ``"django_pgflow"``.
    """

    def __init__(self, database: str, schema: str, detail: str) -> None:
        self.database = database
        self.schema = schema
        super().__init__(
            f"The database {database!r} already has a schema {schema!r} that django-pgflow did not install: {detail}. "
            "Nothing was changed. Use another database, or, if nothing needs that schema and its data, "
            f"drop it (`drop schema {schema} cascade`) and run `manage.py migrate` again."
        )


class NotSupported(CoreError):
    """The core in the database lacks an ability.

    Attributes:
        what: The ability, as in ``"Retrying tasks"``.
        needs: What has it, as in ``"pgflow 0.14 or later"``.
    """

    def __init__(self, what: str, needs: str, found: str) -> None:
        self.what = what
        self.needs = needs
        super().__init__(
            f"{what} needs {needs}; the database has {found}. `manage.py pgflow_doctor` lists what it can do."
        )


def location_of(obj: Any) -> str:
    """Return ``"file:line"`` of a function's definition, or ``""`` if it has none."""
    code = getattr(obj, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
