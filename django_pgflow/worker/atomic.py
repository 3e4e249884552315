"""A handler and the completion of its task in one transaction, on Django's connection.

The report is the transaction's last statement. It locks run, step state and task, and compares worker and attempt: a
task that was taken away meanwhile, for whatever reason, cannot commit. So late, the locks hold up nobody for longer
than the commit takes, however long the handler did.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from psycopg import errors

from django_pgflow.db import database
from django_pgflow.db.query import Query
from django_pgflow.worker.session import one_line
from django_pgflow.worker.task import Outcome, Task

logger = logging.getLogger(__name__)

DATABASE_ERRORS = (OperationalError, InterfaceError)
COMMIT_WITHIN = 5
"""Seconds between report and commit, at most."""
PAUSE = 1
"""Seconds before a task whose commit was interrupted is tried again."""


class _Transaction:
    """How far it has come.

    Attributes:
        has_returned: Whether the handler did.
        is_reporting: Whether what follows is between the worker and the database alone.
        is_committed: Whether the database said so.
    """

    has_returned = False
    is_reporting = False
    is_committed = False

    def note_commit(self) -> None:
        """Take the database's word."""
        self.is_committed = True


def call(task: Task, args: list[Any], kwargs: dict[str, Any]) -> Outcome:
    """Call a handler and complete its task, in one commit; or else in none.

    Returns:
        ``"committed"``; ``"refused"`` if the task is no longer ours; ``"released"`` if it is not known whether the
        commit was carried out: if it was, the database refuses that report, else the task is done again; or a failure.

    Raises:
        BaseException: What the handler raised. Its writes are rolled back.
    """
    db = database.Database(task.control.using)
    state = _Transaction()
    try:
        with transaction.atomic(using=db.alias):
            transaction.on_commit(state.note_commit, using=db.alias)  # before any hook of the handler, which may fail
            db.run(_limit_statements(task))
            outcome = task.completed(task.step.func(*args, **kwargs))
            if db.connection.closed_in_transaction:
                raise RuntimeError("The handler closed the connection of its own transaction, which was rolled back.")
            state.has_returned = True
            if outcome.kind != "completed":
                transaction.set_rollback(True, using=db.alias)
                return outcome
            db.run(LIMIT_WAIT)
            state.is_reporting = True
            counted = db.run(db.core.report(task.control.worker.id, task.report(outcome)))
            if not any(counted):
                transaction.set_rollback(True, using=db.alias)
                return Outcome(kind="refused", seconds=task.seconds())
    except BaseException as error:
        if not state.has_returned:
            raise
        if state.is_committed:
            _log(logging.ERROR, "Function given to on_commit failed; the task is completed", task, error)
        elif (state.is_reporting and isinstance(error, DATABASE_ERRORS)) or _is_interruption(error):
            message = f"Commit interrupted ({one_line(error)}); giving the task back, in case it failed"
            _log(logging.WARNING, message, task)
            return Outcome(kind="released", delay=PAUSE, seconds=task.seconds())
        else:
            return task.failed(error)
    return Outcome(kind="committed", output=outcome.output, seconds=task.seconds())


def _limit_statements(task: Task) -> Query[None]:
    """Let no statement go on after the attempt's time: nobody would stop a thread that waits for a lock."""
    return Query(
        sql="""
            select set_config('statement_timeout', least(
              nullif(extract(epoch from current_setting('statement_timeout')::interval) * 1000, 0),
              %(milliseconds)s
            )::bigint::text, true)
        """,
        params={"milliseconds": max(1, int(task.control.seconds_left() * 1000))},
        read=lambda row: None,
    )


LIMIT_WAIT: Query[None] = Query(
    sql="select set_config('idle_in_transaction_session_timeout', %(timeout)s, true)",
    params={"timeout": f"{COMMIT_WITHIN}s"},
    read=lambda row: None,
)
"""Has the server end the session if the commit does not follow the report soon, as from a worker that is frozen: the
report holds locks that all other tasks of the run wait for."""


def _is_interruption(error: BaseException) -> bool:
    """Whether the connection was lost, or another try may succeed; not so a timeout, which would come again."""
    if not isinstance(error, DATABASE_ERRORS) or isinstance(error.__cause__, errors.QueryCanceled):
        return False
    # What ends idle transactions breaks the connection, too; only its text says so.
    return "timeout" not in str(error)


def _log(level: int, message: str, task: Task, error: BaseException | None = None) -> None:
    fields = task.log_fields()
    logger.log(
        level,
        "%s flow=%s run=%s step=%s index=%d attempt=%d",
        message,
        *fields.values(),
        extra=fields,
        exc_info=error,
    )
