"""The worker as the database sees it: its row, its signs of life; and what it hears and sweeps besides."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import psycopg

from django_pgflow import exceptions, maintenance
from django_pgflow.__about__ import __version__
from django_pgflow.db.core.current import Core
from django_pgflow.db.records import WorkerDetails
from django_pgflow.worker import control, session, wakeup
from django_pgflow.worker.options import WorkerOptions

logger = logging.getLogger(__name__)

LOOKS = 4
"""Looks a second for lost workers, of all workers together."""
SHORTEST_LOOK = 0.5
SHARE = 0.05
"""Part of one processor that all workers together may take for a duty which long queues make dear."""
LONGEST_PAUSE = 600.0
"""Seconds between two times of such a duty that are not exceeded on that account."""
BEATS_MISSED = 4
"""Signs of life that a worker without a lock misses before it counts as lost."""
FAREWELL = 2.0
"""Seconds that a worker which ends tries to connect, in order to say so."""
LONG_SILENCE = 60
"""Seconds of silence after which a worker counts as lost although it has its lock: it may be frozen, or cut off."""


def name() -> str:
    """Return what this process is called among workers: ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


def pause(interval: float, took: float, workers: int) -> float:
    """Return the seconds until a duty that took so long is due again, if all workers together keep to ``SHARE``."""
    return max(interval, min(took * workers / SHARE, LONGEST_PAUSE))


def silence(interval: float, *, holds_lock: bool) -> int:
    """Return the seconds without a sign of life, which is given at this interval, after which a worker is lost."""
    return max(LONG_SILENCE if holds_lock else 10, round(BEATS_MISSED * interval))


class Lifecycle:
    """Registers the worker, then beats, listens and sweeps on a connection of its own until it is cancelled.

    Args:
        options: Intervals, and whether to listen.
        core: The functions.
        connection: A session of its own.
        worker_id: A new id.
        flow_slugs: The flows that the worker serves.
        holds_lock: Whether the session holds the worker's lock; None on a core that knows no lost workers.
        on_work: Called when there may be work, with its flow or None.
        on_deprecated: Called when an operator asked this worker to stop taking work.
        on_tick: Called once a second, with the session.
        on_compare: Called as often as a sign of life is given, or less often if it takes long, with the session.
    """

    def __init__(
        self,
        *,
        options: WorkerOptions,
        core: Core,
        connection: session.Session,
        worker_id: UUID,
        flow_slugs: Sequence[str],
        holds_lock: bool | None,
        on_work: Callable[[str | None], None],
        on_deprecated: Callable[[], None],
        on_tick: Callable[[session.Session], Awaitable[None]],
        on_compare: Callable[[session.Session], Awaitable[None]],
    ) -> None:
        self._options = options
        self._core = core
        self._session = connection
        self._worker_id = worker_id
        self._flow_slugs = flow_slugs
        self._holds_lock = holds_lock
        self._on_work = on_work
        self._on_deprecated = on_deprecated
        self._on_tick = on_tick
        self._on_compare = on_compare
        self._alive_count = 1
        self._details = WorkerDetails(
            hostname=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            concurrency=options.concurrency,
            holds_lock=bool(holds_lock),
            silence=silence(options.heartbeat_interval, holds_lock=bool(holds_lock)),
        )

    async def register(self) -> None:
        """Write the worker's row; returns when it is there."""
        while True:
            try:
                await self._session.connect()
                await self._register()
            except session.ConnectionLost:
                continue
            return

    async def run(self) -> None:
        """Beat, listen and sweep, for ever."""
        while True:
            try:
                await self._live()
            except session.ConnectionLost:
                await self._session.connect()
            except psycopg.Error as error:
                logger.warning("Heartbeat or sweep failed, trying again: %s", session.one_line(error))
                await asyncio.sleep(session.LONGEST)

    async def unregister(self) -> None:
        """Note in the worker's row that it has ended; not worth waiting for a database that is gone."""
        try:
            if not self._session.connected:  # it was about to connect anew
                async with asyncio.timeout(FAREWELL):
                    await self._session.connect()
            await self._session.run(self._core.mark_worker_stopped(self._worker_id))
            if self._options.listen:
                await self._session.run(maintenance.forget_waiting(self._worker_id))
        except (session.ConnectionLost, psycopg.Error, TimeoutError) as error:
            logger.warning("Worker's end not noted: %s", session.one_line(error.__cause__ or error))

    async def _register(self) -> None:
        await self._session.run(self._core.register_worker(self._worker_id, self._flow_slugs, name()))
        if self._holds_lock is not None:
            await self._session.run(self._core.describe_worker(self._worker_id, self._details))

    async def _live(self) -> None:
        if self._options.listen:
            await self._session.listen(wakeup.CHANNEL)
        self._on_work(None)  # what was queued while nobody listened
        now = time.monotonic()
        duties: dict[Callable[[], Awaitable[float]], float] = {self._beat: now}
        if self._holds_lock is not None:
            duties[self._look_for_lost_workers] = now
        duties.update({self._sweep: now, self._compare: now, self._tick: now})
        while True:
            for duty, due_at in duties.items():
                if time.monotonic() >= due_at:
                    duties[duty] = time.monotonic() + await duty()
            await self._hear(max(0.0, min(duties.values()) - time.monotonic()))

    async def _hear(self, seconds: float) -> None:
        # Without LISTEN all that it may hear is the end of the connection, and so of the lock: no time is to be lost.
        async for flow_slug in self._session.notifications(seconds):
            if flow_slug in self._flow_slugs:
                self._on_work(flow_slug)

    # -- duties: each returns the seconds until it is due again

    async def _beat(self) -> float:
        found = await self._session.run(self._core.heartbeat(self._worker_id))
        if not found:  # somebody deleted it; without it the database lets us claim nothing
            logger.warning("Worker's row was gone, writing it again worker=%s", self._worker_id)
            await self._register()
        elif found[0].is_stopped:
            logger.warning("Worker was taken for lost, and its tasks given back; going on worker=%s", self._worker_id)
            await self._register()
        elif found[0].is_deprecated:
            self._on_deprecated()
        return self._options.heartbeat_interval

    async def _compare(self) -> float:
        began = time.monotonic()
        await self._on_compare(self._session)
        return pause(self._options.heartbeat_interval, time.monotonic() - began, self._alive_count)

    async def _tick(self) -> float:
        await self._on_tick(self._session)
        return control.TICK

    async def _look_for_lost_workers(self) -> float:
        (found,) = await self._session.run(self._core.requeue_lost_tasks(self._worker_id))
        if found.lost_count or found.requeued_count:
            logger.warning("Lost workers found count=%d tasks_given_back=%d", found.lost_count, found.requeued_count)
            self._on_work(None)
        self._alive_count = max(1, found.alive_count)
        # The more workers there are, the less each has to look.
        return max(SHORTEST_LOOK, found.alive_count / LOOKS) * random.uniform(0.8, 1.2)  # noqa: S311 - no secret

    async def _sweep(self) -> float:
        try:
            query = maintenance.sweep(self._core)
        except exceptions.NotSupported as error:
            logger.warning("Tasks of dead workers stay started: %s", error)
            return float("inf")
        began = time.monotonic()
        (requeued,) = await self._session.run(query)
        if requeued:
            logger.warning("Stalled tasks given back count=%d", requeued)
            self._on_work(None)
        return pause(self._options.sweep_interval, time.monotonic() - began, self._alive_count)
