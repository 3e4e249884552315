"""The log lines of tasks: receivers of the worker's signals."""

from __future__ import annotations

import logging
from typing import Any

from django_pgflow import signals
from django_pgflow.worker.task import Outcome, Task

logger = logging.getLogger("django_pgflow.worker.task")

FIELDS = "flow=%s run=%s step=%s index=%d attempt=%d"


def connect() -> None:
    """Begin to log tasks. Lines that nobody would see cost nothing."""
    signals.task_failed.connect(log_failed, dispatch_uid="django_pgflow.log")
    if logger.isEnabledFor(logging.INFO):
        signals.task_started.connect(log_started, dispatch_uid="django_pgflow.log")
        signals.task_completed.connect(log_completed, dispatch_uid="django_pgflow.log")


def log_started(*, task: Task, **kwargs: Any) -> None:
    """Log that a handler is about to be called."""
    fields = task.log_fields()
    logger.info(f"Task started {FIELDS}", *fields.values(), extra=fields)


def log_completed(*, task: Task, seconds: float, **kwargs: Any) -> None:
    """Log that a task's output is stored."""
    fields = task.log_fields()
    extra = {**fields, "seconds": seconds}
    logger.info(f"Task completed {FIELDS} seconds=%.3f", *fields.values(), seconds, extra=extra)


def log_failed(
    *,
    task: Task,
    seconds: float,
    error_message: str,
    exception: BaseException | None,
    will_retry: bool,
    **kwargs: Any,
) -> None:
    """Log a failed attempt: a warning before a retry; at the end an error, with the traceback."""
    fields = task.log_fields()
    extra = {**fields, "seconds": seconds, "error_message": error_message, "will_retry": will_retry}
    if will_retry:
        logger.warning(
            f"Task failed, will be retried {FIELDS} max_attempts=%d seconds=%.3f error=%s",
            *fields.values(),
            task.record.max_attempts,
            seconds,
            error_message,
            extra=extra,
        )
    else:
        logger.error(
            f"Task failed {FIELDS} seconds=%.3f error=%s",
            *fields.values(),
            seconds,
            error_message,
            extra=extra,
            exc_info=exception,
        )


def log_decision(task: Task, outcome: Outcome) -> None:
    """Log that a handler had its step skipped, or gave its task back for a time."""
    fields = task.log_fields()
    if outcome.kind == "skipped":
        logger.info(
            f"Step skipped by its handler {FIELDS} reason=%s", *fields.values(), outcome.error_message, extra=fields
        )
    else:
        extra = {**fields, "delay": outcome.delay}
        logger.info(f"Task given back by its handler {FIELDS} delay=%s", *fields.values(), outcome.delay, extra=extra)
