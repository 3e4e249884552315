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
from django_pgflow.worker.task import Outcome, Task

logger = logging.getLogger(__name__)

PAUSE = 1
"""Seconds before a task whose commit was interrupted is tried again."""


class _Transaction:
    """How far it has come.

    Attributes:
        has_returned: Whether the handler did.
        is_committed: Whether the database said so.
    """

    has_returned = False
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
            counted = db.run(db.core.report(task.control.worker.id, task.report(outcome)))
            if not any(counted):
                transaction.set_rollback(True, using=db.alias)
                return Outcome(kind="refused", seconds=task.seconds())
    except BaseException as error:
        if not state.has_returned:
            raise
        if state.is_committed:
            _log(logging.ERROR, "Function given to on_commit failed; the task is completed", task, error)
        elif _is_interruption(error):
            _log(
                logging.WARNING,
                "Commit interrupted; giving the task back, in case it failed",
                task,
                error,
            )
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


def _is_interruption(error: BaseException) -> bool:
    """Whether the connection was lost, or another try may succeed; not so a timeout, which would come again."""
    if not isinstance(error, OperationalError | InterfaceError) or isinstance(error.__cause__, errors.QueryCanceled):
        return False
    # What ends idle transactions breaks the connection, too; only its text says so.
    return "timeout" not in str(error)


def _log(level: int, message: str, task: Task, error: BaseException) -> None:
    fields = task.log_fields()
    logger.log(
        level,
        f"{message} flow=%s run=%s step=%s index=%d attempt=%d",
        *fields.values(),
        extra=fields,
        exc_info=error,
    )
