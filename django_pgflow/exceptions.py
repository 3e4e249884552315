"""Every error that django-pgflow raises on purpose.

PgflowError
+-- FlowDefinitionError      a flow in a flows.py is written wrongly; names file and line
+-- FlowNotFound             no flow of that slug in the code
+-- FlowNotInstalled         the flow is in the code, not in the database
+-- ShapeMismatch            code and database disagree about the steps of a flow that has runs
+-- InvalidInput             the input of a run is not what the flow takes
+-- NotSerializable          a value cannot be stored as JSON; names the path to it
+-- RunNotFound              no run of that id
+-- RunError                 waiting for a run ended without its output
|   +-- RunFailed
|   +-- RunTimeout
+-- WouldDeadlock            waiting for a run that nobody else can see yet
+-- ReadOnly                 a write through the ORM to a table that only the core writes
+-- CoreError                what is installed in the database is not what is needed
    +-- CoreMissing
    +-- ForeignCore
"""

from __future__ import annotations

from collections.abc import Iterable
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


class RunNotFound(PgflowError):
    """No run has this id."""

    def __init__(self, run_id: UUID | str) -> None:
        self.run_id = run_id
        super().__init__(f"There is no run {run_id}. Was its transaction rolled back, or was the run pruned?")


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
            f"{model} is read-only, so {verb}() did nothing. Start a run with `flow.start(...)`, retry with "
            "`run.retry()` or `django_pgflow.client.retry_tasks(...)`; definitions are written by "
            "`manage.py pgflow_sync`."
        )


class CoreError(PgflowError):
    """What is installed in the database is not what is needed."""


class CoreMissing(CoreError):
    """The tables and functions are not installed."""

    def __init__(self, database: str) -> None:
        self.database = database
        super().__init__(f"pgflow is not installed in the database {database!r}. Run `manage.py migrate`.")


class ForeignCore(CoreError):
    """The database has a schema ``pgflow`` that somebody else installed."""

    def __init__(self, database: str, detail: str) -> None:
        self.database = database
        super().__init__(
            f"The database {database!r} already has a schema 'pgflow' that django-pgflow did not install ({detail}). "
            "Nothing was changed. This version cannot work beside it: use another database, or, if nothing needs that "
            "schema and its data, drop it (`drop schema pgflow cascade`) and run `manage.py migrate` again."
        )


def location_of(obj: Any) -> str:
    """Return ``"file:line"`` of a function's definition, or ``""`` if it has none."""
    code = getattr(obj, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
