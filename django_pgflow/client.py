"""Verbs on runs, by id: start, wait, retry. Async twins begin with ``a``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from django_pgflow import conf, exceptions
from django_pgflow.db import database
from django_pgflow.db.core.current import Core
from django_pgflow.db.records import RetryRecord, RunRecord
from django_pgflow.statuses import RunStatus

core = Core()


def _database(using: str | None) -> database.Database:
    return database.Database(using or conf.get().DATABASE)


def start(
    flow_slug: str, inputs: Sequence[str], *, run_ids: Sequence[UUID | None] | None = None, using: str | None = None
) -> list[RunRecord]:
    """Start a run for each input, in the transaction that is open on the connection, if any.

    Args:
        flow_slug: A flow that is in the database.
        inputs: JSON texts, as ``codec.dumps`` makes them.
        run_ids: An id for each run; None, or None at a place, lets the database choose.
        using: A database alias; by default ``PGFLOW["DATABASE"]``.

    Returns:
        The runs as they are after the call, in the order of the inputs. A run may have ended already.

    Raises:
        FlowNotInstalled: The database does not know the flow. Nothing was started.
        InvalidInput: The flow maps over its input and an input is not an array. Nothing was started.
    """
    if not inputs:
        return []
    db = _database(using)
    try:
        # A savepoint, so that the caller's transaction survives a refusal.
        with transaction.atomic(using=db.alias):
            return db.run(core.start_flows(flow_slug, inputs, run_ids))
    except IntegrityError as error:
        if "runs_flow_slug_fkey" in str(error):
            raise exceptions.FlowNotInstalled(flow_slug, db.alias) from error
        raise
    except Exception as error:
        if "has root map steps but input is" in str(error):
            raise exceptions.InvalidInput(flow_slug, str(error.__cause__ or error).splitlines()[0]) from error
        raise


def get(run_id: UUID, *, using: str | None = None) -> RunRecord:
    """Return a run as it is now.

    Raises:
        RunNotFound: There is none.
    """
    found = _database(using).run(core.run(run_id))
    if not found:
        raise exceptions.RunNotFound(run_id)
    return found[0]


def join(run_id: UUID, *, timeout: float | None = None, using: str | None = None) -> RunRecord:
    """Wait until a run has ended, well or not, and return it.

    Args:
        run_id: The run.
        timeout: Seconds to wait at most; None waits for ever.
        using: A database alias; by default ``PGFLOW["DATABASE"]``.

    Raises:
        RunNotFound: There is no such run.
        RunTimeout: It did not end in time; it goes on.
        WouldDeadlock: A transaction is open, in which no worker's result could be seen.
    """
    record = get(run_id, using=using)
    if record.status != RunStatus.STARTED:
        return record
    _refuse_open_transaction(run_id, using)
    for pause in _pauses(timeout):
        time.sleep(pause)
        record = get(run_id, using=using)
        if record.status != RunStatus.STARTED:
            return record
    raise exceptions.RunTimeout(run_id, timeout or 0.0, record.status)


async def ajoin(run_id: UUID, *, timeout: float | None = None, using: str | None = None) -> RunRecord:
    """Do as ``join`` does, from a coroutine."""
    db = _database(using)
    for pause in _pauses(timeout, first=0.0):
        await asyncio.sleep(pause)
        found = await db.arun(core.run(run_id))
        if not found:
            raise exceptions.RunNotFound(run_id)
        if found[0].status != RunStatus.STARTED:
            return found[0]
    raise exceptions.RunTimeout(run_id, timeout or 0.0, RunStatus.STARTED)


def result(run_id: UUID, *, timeout: float | None = None, using: str | None = None) -> Any:
    """Wait until a run has ended and return its output: ``{leaf step: output}``.

    Raises:
        RunFailed: The run failed; the error names step and task.
        RunNotFound, RunTimeout, WouldDeadlock: As ``join`` does.
    """
    record = join(run_id, timeout=timeout, using=using)
    if record.status == RunStatus.FAILED:
        raise _failure(record, _database(using).run(core.run_failure(run_id)))
    return record.output


async def aresult(run_id: UUID, *, timeout: float | None = None, using: str | None = None) -> Any:
    """Do as ``result`` does, from a coroutine."""
    record = await ajoin(run_id, timeout=timeout, using=using)
    if record.status == RunStatus.FAILED:
        raise _failure(record, await _database(using).arun(core.run_failure(run_id)))
    return record.output


def retry_tasks(tasks: Sequence[tuple[UUID, str, int]], *, using: str | None = None) -> list[RetryRecord]:
    """Retry failed tasks with fresh attempts. Their runs go on from there; finished work is kept.

    Args:
        tasks: (run_id, step_slug, task_index) of each.
        using: A database alias; by default ``PGFLOW["DATABASE"]``.

    Returns:
        What became of each.
    """
    return _database(using).run(core.retry_tasks(tasks)) if tasks else []


def _refuse_open_transaction(run_id: UUID, using: str | None) -> None:
    connection = _database(using).connection
    # Inside a TestCase every statement is in a transaction; there, too, no worker could see the run.
    if connection.in_atomic_block:
        raise exceptions.WouldDeadlock(run_id)


def _pauses(timeout: float | None, *, first: float = 0.02) -> Iterator[float]:
    """Yield seconds to sleep: growing from 20 ms to a second, and no longer in sum than ``timeout``."""
    deadline = None if timeout is None else time.monotonic() + timeout
    yield first
    pause = 0.02
    while deadline is None or (left := deadline - time.monotonic()) > 0:
        yield pause if deadline is None else min(pause, left)
        pause = min(pause * 1.5, 1.0)


def _failure(record: RunRecord, found: Sequence[Any]) -> exceptions.RunFailed:
    step_slug, task_index, error = "", None, ""
    if found:
        step_slug, task_index, error = found[0].step_slug, found[0].task_index, found[0].error_message or ""
    return exceptions.RunFailed(record.run_id, record.flow_slug, step_slug, task_index, error)
