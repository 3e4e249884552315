"""The advisory lock by which others see at once that a worker is lost: the server frees it with the connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from uuid import UUID

import psycopg

from django_pgflow.db.core.current import Core
from django_pgflow.worker import session

logger = logging.getLogger(__name__)

PAUSE = 0.05
WAIT = 2.0
"""Seconds to wait for a lock that an earlier connection of ours still holds."""


class WorkerLock:
    """A worker's lock on a session, taken again whenever the session connects anew.

    Args:
        core: The functions.
        connection: A session that notices its loss at once, whatever the worker is doing: the one that listens.
        worker_id: The worker.
    """

    def __init__(self, core: Core, connection: session.Session, worker_id: UUID) -> None:
        self._core = core
        self._session = connection
        self._worker_id = worker_id
        self._pid: int | None = None

    async def take(self) -> None:
        """Take the lock on the connection at hand, from a connection that we lost and the server did not.

        Raises:
            ConnectionLost, psycopg.Error: As ``Session.run``.
        """
        if self._pid is not None:
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege):  # by now it is somebody else's process
                await self._session.run(self._core.end_session(self._worker_id, self._pid))
        for _ in range(int(WAIT / PAUSE)):
            (held,) = await self._session.run(self._core.hold_worker_lock(self._worker_id))
            if held:
                break
            await asyncio.sleep(PAUSE)
        else:
            logger.warning("Lock not taken, others may take this worker for lost worker=%s", self._worker_id)
        (self._pid,) = await self._session.run(session.BACKEND)
