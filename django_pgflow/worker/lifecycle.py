"""The worker as the database sees it: its row, its signs of life; and what it hears and sweeps besides."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from uuid import UUID

import psycopg

from django_pgflow import exceptions, maintenance
from django_pgflow.db.core.current import Core
from django_pgflow.worker import session, wakeup
from django_pgflow.worker.options import WorkerOptions

logger = logging.getLogger(__name__)


class Lifecycle:
    """Registers the worker, then beats, listens and sweeps on a connection of its own until it is cancelled.

    Args:
        options: Intervals, and whether to listen.
        core: The functions.
        connection: A session of its own.
        worker_id: A new id.
        flow_slugs: The flows that the worker serves.
        on_work: Called when there may be work, with its flow or None.
        on_deprecated: Called when an operator asked this worker to stop taking work.
    """

    def __init__(
        self,
        *,
        options: WorkerOptions,
        core: Core,
        connection: session.Session,
        worker_id: UUID,
        flow_slugs: Sequence[str],
        on_work: Callable[[str | None], None],
        on_deprecated: Callable[[], None],
    ) -> None:
        self._options = options
        self._core = core
        self._session = connection
        self._worker_id = worker_id
        self._flow_slugs = flow_slugs
        self._on_work = on_work
        self._on_deprecated = on_deprecated
        self._sweeps = True
        self.name = f"{socket.gethostname()}:{os.getpid()}"

    async def register(self) -> None:
        """Write the worker's row; returns when it is there."""
        while True:
            try:
                if not self._session.connected:
                    await self._session.connect()
                await self._session.run(self._core.register_worker(self._worker_id, self._flow_slugs, self.name))
            except psycopg.errors.UniqueViolation:
                return  # written by a try whose answer was lost
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
            await self._session.run(self._core.mark_worker_stopped(self._worker_id))
            if self._options.listen:
                await self._session.run(maintenance.forget_waiting(self._worker_id))
        except (session.ConnectionLost, psycopg.Error) as error:
            logger.warning("Worker's end not noted: %s", session.one_line(error.__cause__ or error))

    async def _live(self) -> None:
        if self._options.listen:
            await self._session.listen(wakeup.CHANNEL)
        self._on_work(None)  # what was queued while nobody listened
        beat_at = sweep_at = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= beat_at:
                await self._beat()
                beat_at = now + self._options.heartbeat_interval
            if now >= sweep_at:
                await self._sweep()
                sweep_at = now + self._options.sweep_interval
            await self._hear(max(0.0, min(beat_at, sweep_at) - time.monotonic()))

    async def _hear(self, seconds: float) -> None:
        if not self._options.listen:
            await asyncio.sleep(seconds)
            return
        async for flow_slug in self._session.notifications(seconds):
            if flow_slug in self._flow_slugs:
                self._on_work(flow_slug)

    async def _beat(self) -> None:
        found = await self._session.run(self._core.heartbeat(self._worker_id))
        if not found:  # somebody deleted it; without it the database lets us claim nothing
            logger.warning("Worker's row was gone, writing it again worker=%s", self._worker_id)
            await self._session.run(self._core.register_worker(self._worker_id, self._flow_slugs, self.name))
        elif found[0]:
            self._on_deprecated()

    async def _sweep(self) -> None:
        if not self._sweeps:
            return
        try:
            query = maintenance.sweep(self._core)
        except exceptions.NotSupported as error:
            self._sweeps = False
            logger.warning("Tasks of dead workers stay started: %s", error)
            return
        (requeued,) = await self._session.run(query)
        if requeued:
            logger.warning("Stalled tasks given back count=%d", requeued)
            self._on_work(None)
