"""The one statement of the worker's hot path, carried through whatever the database does meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID

import psycopg

from django_pgflow import maintenance
from django_pgflow.db.core.current import Core
from django_pgflow.db.query import Query
from django_pgflow.db.records import ANY_ROOM, ExchangeRecord, Rooms, TaskReport
from django_pgflow.worker import session
from django_pgflow.worker.task import TaskKey, storable

logger = logging.getLogger(__name__)

# The statement failed, nothing is wrong with it: another try may succeed.
TRANSIENT = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.TooManyConnections,
    psycopg.errors.OutOfMemory,
    psycopg.errors.DiskFull,
    psycopg.errors.ReadOnlySqlTransaction,
)


class Source(Protocol):
    """Where a worker's tasks come from and its reports go; a core that other people installed can stand behind it."""

    @property
    def connected(self) -> bool:
        """Whether the database answered last time."""

    async def exchange(
        self, flow_slugs: Sequence[str], capacity: int, reports: Sequence[TaskReport], rooms: Rooms = ANY_ROOM
    ) -> list[ExchangeRecord]:
        """Report, claim what there is room for, and return claimed tasks and refused reports.

        Waits while the database is gone.
        """

    async def flow_input(self, run_id: UUID) -> Any:
        """Return the input of a run."""

    async def has_work(self, flow_slugs: Sequence[str]) -> bool:
        """Return whether any task of these flows is not done."""


class SourceBase:
    """What sources have in common.

    Args:
        core: The functions.
        connection: A session of its own.
        worker_id: A registered worker.
        in_hand: Returns the tasks that are being executed or wait to be reported in a later call.
    """

    def __init__(
        self, core: Core, connection: session.Session, worker_id: UUID, in_hand: Callable[[], Collection[TaskKey]]
    ) -> None:
        self._core = core
        self._session = connection
        self._worker_id = worker_id
        self._in_hand = in_hand
        self._last_error = ""

    @property
    def connected(self) -> bool:
        """Whether the connection is there."""
        return self._session.connected

    async def flow_input(self, run_id: UUID) -> Any:
        """Return the input of a run; None if it was deleted meanwhile."""
        while True:
            try:
                found = await self._session.run(self._core.flow_input(run_id))
                return found[0] if found else None
            except session.ConnectionLost:
                await self._session.connect()

    async def has_work(self, flow_slugs: Sequence[str]) -> bool:
        """Return whether any task of these flows is not done; True while the database is gone."""
        try:
            return (await self._session.run(self._has_work_query(flow_slugs)))[0]
        except session.ConnectionLost:
            await self._session.connect()
            return True

    def _has_work_query(self, flow_slugs: Sequence[str]) -> Query[bool]:
        raise NotImplementedError

    async def _unknown_claims(self, flow_slugs: Sequence[str], reports: Sequence[TaskReport]) -> list[TaskReport]:
        """Return reports that give back what was claimed for us by a statement whose answer never came."""
        known = {(report.run_id, report.step_slug, report.task_index) for report in reports} | set(self._in_hand())
        held = await self._session.run(self._core.held_tasks(self._worker_id, flow_slugs))
        return [
            TaskReport.released(task) for task in held if (task.run_id, task.step_slug, task.task_index) not in known
        ]

    def _log_error(self, what: str, error: psycopg.Error) -> None:
        """Log an error with its traceback, once for as long as it stays the same."""
        if session.one_line(error) != self._last_error:
            self._last_error = session.one_line(error)
            logger.exception("%s, trying again until it works: %s", what, self._last_error)


class Exchange(SourceBase):
    """A ``Source`` on the core that our migrations install.

    Args:
        core: The functions.
        connection: A session of its own.
        worker_id: A registered worker.
        in_hand: Returns the tasks that are being executed or wait to be reported in a later call.
        listening: Whether notifications of new work reach the worker.
    """

    def __init__(
        self,
        core: Core,
        connection: session.Session,
        worker_id: UUID,
        in_hand: Callable[[], Collection[TaskKey]],
        *,
        listening: bool = True,
    ) -> None:
        super().__init__(core, connection, worker_id, in_hand)
        self._listening = listening
        self._quiet: set[str] = set()  # flows for which the database surely does not have us as waiting

    async def exchange(
        self, flow_slugs: Sequence[str], capacity: int, reports: Sequence[TaskReport], rooms: Rooms = ANY_ROOM
    ) -> list[ExchangeRecord]:
        """Report results, claim tasks; once more after each loss, until the database has answered."""
        pauses = session.pauses()
        lost = False
        while True:
            try:
                if lost:
                    reports = [*reports, *await self._unknown_claims(flow_slugs, reports)]
                    lost = False
                records = await self._run(flow_slugs, capacity, reports, rooms)
                self._last_error = ""
                return records
            except session.ConnectionLost:
                lost = True
                await self._session.connect()
            except TRANSIENT as error:
                logger.warning("Exchange failed, trying again: %s", session.one_line(error))
                await asyncio.sleep(next(pauses))
            except psycopg.Error as error:
                if reports:
                    return await self._one_by_one(flow_slugs, reports, error)
                self._log_error("Exchange failed", error)
                await asyncio.sleep(next(pauses))

    def _has_work_query(self, flow_slugs: Sequence[str]) -> Query[bool]:
        return maintenance.has_work(flow_slugs)

    async def _run(
        self, flow_slugs: Sequence[str], capacity: int, reports: Sequence[TaskReport], rooms: Rooms = ANY_ROOM
    ) -> list[ExchangeRecord]:
        quiet, self._quiet = self._quiet, set()  # until the answer is there
        records = await self._session.run(
            self._core.exchange(
                self._worker_id,
                flow_slugs,
                capacity,
                reports,
                listening=self._listening,
                waiting_slugs=[slug for slug in flow_slugs if slug not in quiet],
                rooms=rooms,
            )
        )
        self._quiet = quiet.difference(flow_slugs).union(r.flow_slug for r in records if r.kind == "claimed")
        return records

    async def _one_by_one(
        self, flow_slugs: Sequence[str], reports: Sequence[TaskReport], error: psycopg.Error
    ) -> list[ExchangeRecord]:
        """Report each task alone, so that one that the database will not take does not hold up the others."""
        logger.warning("Exchange refused, reporting its tasks one by one: %s", session.one_line(error))
        return [record for report in reports for record in await self._alone(flow_slugs, report)]

    async def _alone(self, flow_slugs: Sequence[str], report: TaskReport) -> list[ExchangeRecord]:
        failure: TaskReport | None = None
        pauses = session.pauses()
        while True:
            try:
                return await self._run(flow_slugs, 0, [failure or report])
            except session.ConnectionLost:
                await self._session.connect()
            except TRANSIENT:
                await asyncio.sleep(next(pauses))
            except psycopg.Error as refusal:
                if failure is not None:
                    log_dropped(report)
                    return []
                failure = unstorable(report, refusal)


def unstorable(report: TaskReport, refusal: psycopg.Error) -> TaskReport:
    """Return a failure in place of a report that the database would not take."""
    text = storable(f"The outcome could not be stored: {session.one_line(refusal)}")
    return replace(
        report, outcome="failed", output=None, error_message=text, delay=None, error_class=None, traceback=None
    )


def log_dropped(report: TaskReport) -> None:
    """Log, with the traceback of the error at hand, that not even the failure could be reported."""
    logger.exception(
        "Report dropped run=%s step=%s index=%d attempt=%d; the task will be found stalled",
        report.run_id,
        report.step_slug,
        report.task_index,
        report.attempt,
    )
