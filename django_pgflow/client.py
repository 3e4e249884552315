"""Verbs on runs, by id: start, wait, cancel, resume, restart, retry. Async twins begin with ``a``."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from asgiref.sync import sync_to_async
from django.db import IntegrityError, connections, transaction

from django_pgflow import conf, exceptions
from django_pgflow.db import core as cores
from django_pgflow.db import database
from django_pgflow.db.records import RetryRecord, RunOutcomeRecord, RunRecord, StartRecord
from django_pgflow.statuses import RunStatus

KEYS = UUID("8d0ea2c3-9d4a-5e0b-9d62-70c9ea1e3c5b")
"""Namespace of the ids of runs that are started with a key. To change it is to forget all keys."""


def _database(using: str | None) -> database.Database:
    return database.Database(using or conf.get().DATABASE)


def start(
    flow_slug: str,
    inputs: Sequence[str],
    *,
    run_ids: Sequence[UUID | None] | None = None,
    delay: float | None = None,
    at: datetime | None = None,
    meta: str | None = None,
    using: str | None = None,
) -> list[RunRecord]:
    """Start a run for each input, in the transaction that is open on the connection, if any.

    Args:
        flow_slug: A flow that is in the database.
        inputs: JSON texts, as ``codec.dumps`` makes them.
        run_ids: An id for each run; None, or None at a place, lets the database choose.
        delay: Seconds before a worker can take the first tasks.
        at: The time before which none can; instead of ``delay``.
        meta: JSON text to be kept with each run, in ``run.details.meta``.
        using: A database alias; by default ``PGFLOW["DATABASE"]``.

    Returns:
        The runs as they are after the call, in the order of the inputs. A run may have ended already.

    Raises:
        FlowNotInstalled: The database does not know the flow. Nothing was started.
        InvalidInput: The flow maps over its input and an input is not an array. Nothing was started.
        RunExists: One of the ids is taken. Nothing was started.
    """
    if not inputs:
        return []
    db = _database(using)
    with _starting(flow_slug, db.alias):
        return db.run(db.core.start_flows(flow_slug, inputs, run_ids, delay=delay, at=at, meta=meta))


def start_one(
    flow_slug: str,
    input: str,
    *,
    key: str | None = None,
    run_id: UUID | None = None,
    delay: float | None = None,
    at: datetime | None = None,
    meta: str | None = None,
    using: str | None = None,
) -> StartRecord:
    """Start one run, or find the one that was started with the same key.

    Args:
        flow_slug: A flow that is in the database.
        input: JSON text.
        key: With a key a run is started once only: a second start, at the same time or later, gets the run that
            exists, whatever its input and state. Kept for as long as the run is.
        run_id: The run's id, instead of a key.
        delay, at, meta, using: As in ``start``.

    Raises:
        FlowNotInstalled, InvalidInput, RunExists: As ``start`` does.
    """
    db = _database(using)
    with _starting(flow_slug, db.alias):
        return db.one(
            db.core.start_flow(
                flow_slug,
                input,
                run_id=run_id if key is None else key_id(flow_slug, key),
                if_absent=key is not None,
                delay=delay,
                at=at,
                meta=meta,
            )
        )


def key_id(flow_slug: str, key: str) -> UUID:
    """Return the id of the run that is started with a key."""
    return uuid5(KEYS, f"{flow_slug}:{key}")


@contextlib.contextmanager
def _starting(flow_slug: str, alias: str) -> Iterator[None]:
    """Translate the refusals of a start; with a savepoint, so that the caller's transaction survives them."""
    # A statement alone needs no transaction around it, which would take two round trips more.
    in_transaction = connections[alias].in_atomic_block
    try:
        with transaction.atomic(using=alias) if in_transaction else contextlib.nullcontext():
            yield
    except IntegrityError as error:
        if "runs_flow_slug_fkey" in str(error):
            raise exceptions.FlowNotInstalled(flow_slug, alias) from error
        if "runs_pkey" in str(error):
            raise exceptions.RunExists(flow_slug) from error
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
    db = _database(using)
    found = db.run(db.core.run(run_id))
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
    query = (await cores.afor_alias(db.alias)).run(run_id)
    for pause in _pauses(timeout, first=0.0):
        await asyncio.sleep(pause)
        found = await db.arun(query)
        if not found:
            raise exceptions.RunNotFound(run_id)
        if found[0].status != RunStatus.STARTED:
            return found[0]
    raise exceptions.RunTimeout(run_id, timeout or 0.0, RunStatus.STARTED)


def result(run_id: UUID, *, timeout: float | None = None, using: str | None = None) -> Any:
    """Wait until a run has ended and return its output: ``{leaf step: output}``.

    Raises:
        RunFailed: The run failed; the error names step and task.
        RunCancelled: The run was cancelled.
        RunNotFound, RunTimeout, WouldDeadlock: As ``join`` does.
    """
    record = join(run_id, timeout=timeout, using=using)
    if record.status == RunStatus.FAILED:
        raise _failure(record, _database(using))
    return record.output


async def aresult(run_id: UUID, *, timeout: float | None = None, using: str | None = None) -> Any:
    """Do as ``result`` does, from a coroutine."""
    record = await ajoin(run_id, timeout=timeout, using=using)
    if record.status == RunStatus.FAILED:
        raise await sync_to_async(_failure, thread_sensitive=True)(record, _database(using))
    return record.output


def cancel(run_id: UUID, reason: str = "", *, using: str | None = None) -> RunRecord:
    """End a run: no task of it begins any more, and reports of those in work do not count.

    For the database the run has failed; ``run.details`` tells when it was cancelled and why.

    Args:
        run_id: The run.
        reason: For people.
        using: A database alias; by default ``PGFLOW["DATABASE"]``.

    Returns:
        The run as it is now.

    Raises:
        RunNotFound: There is no such run.
        RunEnded: It has ended.
    """
    (became,) = cancel_runs([run_id], reason, using=using)
    if became.outcome == "ended":
        raise exceptions.RunEnded(run_id)
    return get(run_id, using=using)


def cancel_runs(run_ids: Sequence[UUID], reason: str = "", *, using: str | None = None) -> list[RunOutcomeRecord]:
    """Cancel runs, in one transaction, and return what became of each."""
    db = _database(using)
    return db.run(db.core.cancel_runs(run_ids, reason)) if run_ids else []


def resume(run_id: UUID, *, using: str | None = None) -> RunRecord:
    """Let a failed or cancelled run go on: finished tasks are kept, the others get fresh attempts.

    Returns:
        The run as it is now.

    Raises:
        RunNotFound: There is no such run.
        RunNotFailed: It has not failed.
        FailedByCondition: It failed by a condition on its input, which cannot change.
    """
    (became,) = resume_runs([run_id], using=using)
    if became.outcome == "not_failed":
        raise exceptions.RunNotFailed(run_id)
    if became.outcome == "condition":
        raise exceptions.FailedByCondition(run_id)
    return get(run_id, using=using)


def resume_runs(run_ids: Sequence[UUID], *, using: str | None = None) -> list[RunOutcomeRecord]:
    """Resume runs, in one transaction, and return what became of each."""
    db = _database(using)
    return db.run(db.core.resume_runs(run_ids)) if run_ids else []


def restart(run_id: UUID, input: str | None = None, *, using: str | None = None) -> RunRecord:
    """Start a new run of the same flow; the old one is left as it is, ended or not.

    The new run's ``details.restarted_from`` is the id of the old one, whose meta it has.

    Args:
        run_id: The old run.
        input: JSON text; by default the input of the old run.
        using: A database alias; by default ``PGFLOW["DATABASE"]``.

    Returns:
        The new run.

    Raises:
        RunNotFound: There is no such run.
        InvalidInput: The flow maps over its input, which is not an array. Nothing was started.
    """
    db = _database(using)
    flow_slug = get(run_id, using=using).flow_slug
    with _starting(flow_slug, db.alias):
        started = db.run(db.core.restart_run(run_id, input))
    if not started:
        raise exceptions.RunNotFound(run_id)
    return started[0]


def retry_tasks(tasks: Sequence[tuple[UUID, str, int]], *, using: str | None = None) -> list[RetryRecord]:
    """Retry failed tasks with fresh attempts. Their runs go on from there; finished work is kept.

    Args:
        tasks: (run_id, step_slug, task_index) of each.
        using: A database alias; by default ``PGFLOW["DATABASE"]``.

    Returns:
        What became of each.
    """
    db = _database(using)
    return db.run(db.core.retry_tasks(tasks)) if tasks else []


astart = sync_to_async(start, thread_sensitive=True)
"""``start``, from a coroutine."""
astart_one = sync_to_async(start_one, thread_sensitive=True)
"""``start_one``, from a coroutine."""
acancel = sync_to_async(cancel, thread_sensitive=True)
"""``cancel``, from a coroutine."""
acancel_runs = sync_to_async(cancel_runs, thread_sensitive=True)
"""``cancel_runs``, from a coroutine."""
aresume = sync_to_async(resume, thread_sensitive=True)
"""``resume``, from a coroutine."""
aresume_runs = sync_to_async(resume_runs, thread_sensitive=True)
"""``resume_runs``, from a coroutine."""
arestart = sync_to_async(restart, thread_sensitive=True)
"""``restart``, from a coroutine."""
aretry_tasks = sync_to_async(retry_tasks, thread_sensitive=True)
"""``retry_tasks``, from a coroutine."""


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


def _failure(record: RunRecord, db: database.Database) -> exceptions.RunError:
    for cancelled in db.run(db.core.cancellation(record.run_id)):
        return exceptions.RunCancelled(record.run_id, record.flow_slug, cancelled.cancel_reason or "")
    step_slug, task_index, error = "", None, ""
    for failure in db.run(db.core.run_failure(record.run_id)):
        step_slug, task_index, error = failure.step_slug, failure.task_index, failure.error_message or ""
    return exceptions.RunFailed(record.run_id, record.flow_slug, step_slug, task_index, error)
