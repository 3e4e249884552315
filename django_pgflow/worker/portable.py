"""A source of tasks on a core that others installed: public functions, a statement and a transaction each."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

import psycopg

from django_pgflow.db.core.current import Core
from django_pgflow.db.core.external import ExternalCore
from django_pgflow.db.query import Query
from django_pgflow.db.records import ANY_ROOM, ExchangeRecord, Rooms, TaskReport
from django_pgflow.worker import session
from django_pgflow.worker.exchange import TRANSIENT, Exchange, Source, SourceBase, log_dropped, unstorable
from django_pgflow.worker.task import TaskKey

logger = logging.getLogger(__name__)

Row = TypeVar("Row")

PUT_BACK = 1
"""Seconds after which a message of a step that was full is looked at again; till then it is in nobody's way."""


def notifies(core: Core) -> bool:
    """Return whether a core sends notifications of new work."""
    return not isinstance(core, ExternalCore)


def source_for(
    core: Core,
    connection: session.Session,
    worker_id: UUID,
    in_hand: Callable[[], Collection[TaskKey]],
    *,
    listening: bool,
) -> Source:
    """Return the source that fits a core."""
    if isinstance(core, ExternalCore):
        return Portable(core, connection, worker_id, in_hand)
    return Exchange(core, connection, worker_id, in_hand, listening=listening)


class Portable(SourceBase):
    """A ``Source`` on a core that others installed. Tasks are reported one by one, and claimed flow by flow.

    Args:
        core: The functions.
        connection: A session of its own.
        worker_id: A registered worker.
        in_hand: Returns the tasks that are being executed or wait to be reported in a later call.
    """

    _core: ExternalCore

    def __init__(
        self,
        core: ExternalCore,
        connection: session.Session,
        worker_id: UUID,
        in_hand: Callable[[], Collection[TaskKey]],
    ) -> None:
        super().__init__(core, connection, worker_id, in_hand)
        self._lost = False

    async def exchange(
        self, flow_slugs: Sequence[str], capacity: int, reports: Sequence[TaskReport], rooms: Rooms = ANY_ROOM
    ) -> list[ExchangeRecord]:
        """Report results, then claim tasks. Waits while the database is gone."""
        records: list[ExchangeRecord] = []
        for report in reports:
            if not await self._report(report):
                records.append(_refused(report))
        if self._lost:
            await self._let_go(flow_slugs, reports)
        return records + await self._claim_from_all(flow_slugs, capacity, rooms)

    def _has_work_query(self, flow_slugs: Sequence[str]) -> Query[bool]:
        return self._core.has_work(flow_slugs)

    # -- reporting

    async def _report(self, report: TaskReport) -> bool:
        """Report a task, and return whether that counted, or was nothing to be counted."""
        settled = self._core.settle(report)
        if settled is None or settled.outcome != report.outcome:
            logger.warning(
                "The core knows no such outcome, so the task is %s run=%s step=%s index=%d attempt=%d outcome=%s",
                f"reported as {settled.outcome}" if settled else "left to be found stalled",
                report.run_id,
                report.step_slug,
                report.task_index,
                report.attempt,
                report.outcome,
            )
        if settled is None:
            return True
        try:
            return await self._tell(settled)
        except psycopg.Error as refusal:
            logger.warning("Report refused by the database: %s", session.one_line(refusal))
            failure = unstorable(settled, refusal)
        try:
            return await self._tell(failure)
        except psycopg.Error:
            log_dropped(report)
            return True

    async def _tell(self, report: TaskReport) -> bool:
        counted = await self._run(self._core.report(self._worker_id, report))
        return any(counted)

    async def _let_go(self, flow_slugs: Sequence[str], reports: Sequence[TaskReport]) -> None:
        """Let go of what was started for us by a statement whose answer never came."""
        self._lost = False
        try:
            unknown = await self._unknown_claims(flow_slugs, reports)
        except session.ConnectionLost:
            self._lost = True
            return
        for report in unknown:
            await self._report(report)

    # -- claiming

    async def _claim_from_all(self, flow_slugs: Sequence[str], capacity: int, rooms: Rooms) -> list[ExchangeRecord]:
        """Claim from each flow its share, begun at another one each time; what one leaves goes to those after it."""
        first = random.randrange(len(flow_slugs)) if flow_slugs else 0  # noqa: S311 - no secret
        order = [*flow_slugs[first:], *flow_slugs[:first]]
        records: list[ExchangeRecord] = []
        full: list[str] = []
        for place, flow_slug in enumerate(order):
            share = math.ceil((capacity - len(records)) / (len(order) - place))
            taken = await self._claim(flow_slug, share, rooms.less(records))
            records += taken
            if share and len(taken) == share:
                full.append(flow_slug)
        # What is left then goes to the flows that had more than their share.
        for flow_slug in full:
            records += await self._claim(flow_slug, capacity - len(records), rooms.less(records))
        return records

    async def _claim(self, flow_slug: str, quantity: int, rooms: Rooms) -> list[ExchangeRecord]:
        """Read messages, put back those that there is no room for, start the tasks of the others, keep what is ours."""
        quantity = min(quantity, rooms.flows.get(flow_slug, quantity))
        if quantity <= 0:
            return []
        try:
            messages = await self._run(self._core.read_messages(flow_slug, quantity))
            msg_ids = _that_fit(messages, rooms.steps.get(flow_slug, {}))
            if len(msg_ids) < len(messages):
                others = [msg_id for msg_id, _ in messages if msg_id not in msg_ids]
                await self._run(self._core.put_back_messages(flow_slug, others, PUT_BACK))
            if not msg_ids:
                return []
            started = await self._run(self._core.start_tasks(flow_slug, msg_ids, self._worker_id))
            held = await self._run(self._core.hold_tasks(flow_slug, [task.msg_id for task in started], self._worker_id))
        except psycopg.Error as error:
            # The flow may have been deleted. The others are served on; this one is tried again.
            self._log_error(f"Claiming failed flow={flow_slug}", error)
            return []
        by_message = {task.msg_id: task for task in held}
        return [by_message[task.msg_id].record(task) for task in started if task.msg_id in by_message]

    async def _run(self, query: Query[Row]) -> list[Row]:
        """Execute a statement, again until the database has answered. What it does, it must not do twice."""
        pauses = session.pauses()
        while True:
            try:
                return await self._session.run(query)
            except session.ConnectionLost:
                self._lost = True
                await self._session.connect()
            except TRANSIENT as error:
                logger.warning("Statement failed, trying again: %s", session.one_line(error))
                await asyncio.sleep(next(pauses))


def _that_fit(messages: Sequence[tuple[int, str]], step_rooms: Mapping[str, int]) -> list[int]:
    """Return the ids of the first messages of each step, as many as it has room for."""
    fitting = []
    seen: Counter[str] = Counter()
    for msg_id, step_slug in messages:
        seen[step_slug] += 1
        if seen[step_slug] <= step_rooms.get(step_slug, len(messages)):
            fitting.append(msg_id)
    return fitting


def _refused(report: TaskReport) -> ExchangeRecord:
    return ExchangeRecord(
        kind="refused",
        flow_slug="",
        run_id=report.run_id,
        step_slug=report.step_slug,
        task_index=report.task_index,
        attempt=report.attempt,
        input=None,
        msg_id=0,
        max_attempts=0,
        timeout=0,
    )
