"""The worker's own connections to the database: asyncio, autocommit, and back after every loss."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import psycopg
from django.db import connections
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads

from django_pgflow.db.query import Query
from django_pgflow.dsl import codec

logger = logging.getLogger(__name__)

Row = TypeVar("Row")
Connection = psycopg.AsyncConnection[DictRow]

SHORTEST, LONGEST = 0.1, 2.0

PREPARE_AFTER = 5
"""Executions of a statement after which a connection that is ours alone prepares it."""

BACKEND = Query(sql="select pg_catalog.pg_backend_pid() as pid", read=lambda row: int(row["pid"]))
"""Asks which process of the server executes the statement."""

# Without these a connection whose other end vanished would be waited for, for hours.
KEEPALIVE = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}


SERVER_SETTINGS = {
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


class ConnectionLost(Exception):
    """The connection broke; whether the statement was carried out is unknown."""


class Health:
    """Logs once that the database is gone and once that it is back, however many connections notice."""

    def __init__(self) -> None:
        self._lost: set[str] = set()
        self._since = 0.0

    def lost(self, purpose: str, error: BaseException) -> None:
        """Note that a connection is gone, or could not be made."""
        if not self._lost:
            self._since = time.monotonic()
            logger.warning("Database connection lost, trying again until it is back: %s", one_line(error))
        self._lost.add(purpose)

    def back(self, purpose: str) -> None:
        """Note that a connection works."""
        if purpose in self._lost:
            self._lost.discard(purpose)
            if not self._lost:
                logger.info("Database connection is back seconds=%.1f", time.monotonic() - self._since)


class Session:
    """One connection, made again whenever it is lost.

    Args:
        alias: A Django database.
        purpose: What it is for; part of its ``application_name``.
        health: Shared by the sessions of one worker.
    """

    def __init__(self, alias: str, purpose: str, health: Health) -> None:
        self._alias = alias
        self._purpose = purpose
        self._health = health
        self._connection: Connection | None = None
        self._direct = True
        self.on_connect: Callable[[], Awaitable[None]] | None = None
        """Called after each connection, before it is used for anything else."""

    @property
    def connected(self) -> bool:
        """Whether the connection is there, as far as we know."""
        return self._connection is not None and not self._connection.closed

    @property
    def direct(self) -> bool:
        """Whether the connection leads to the server itself; if not, some pooler or proxy answers for it."""
        return self._direct

    @property
    def role(self) -> str | None:
        """The role that the settings want for the session, other than the one that logs in."""
        role: str | None = connections[self._alias].settings_dict["OPTIONS"].get("assume_role")
        return role

    async def connect(self) -> None:
        """Connect, however long it takes; at growing intervals with jitter, 0.1 to 2 seconds."""
        await self.close()
        for pause in pauses():
            try:
                self._connection = await self._open()
                if self.on_connect is not None:
                    await self.on_connect()
            except (psycopg.Error, ConnectionLost) as error:
                self._health.lost(self._purpose, error.__cause__ or error)
                await self.close()
                await asyncio.sleep(pause)
            else:
                self._health.back(self._purpose)
                return

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def run(self, query: Query[Row]) -> list[Row]:
        """Execute a query and return all its rows.

        Raises:
            ConnectionLost: Call ``connect`` and decide what to do about the statement.
            psycopg.Error: The database refused it; the connection still works.
        """
        if self._connection is None:
            raise ConnectionLost
        try:
            return await _fetch(self._connection, query)
        except psycopg.Error as error:
            if error.diag.source_function == "RevalidateCachedQuery":
                # A migration changed the columns of a prepared statement: it was not executed, and never will be here.
                await self._connection.close()
            self._check(error)
            raise

    async def listen(self, channel: str) -> None:
        """Begin to receive the notifications of a channel."""
        if self._connection is None:
            raise ConnectionLost
        try:
            await self._connection.execute(f"listen {channel}")
        except psycopg.Error as error:
            self._check(error)
            raise

    async def notifications(self, timeout: float) -> AsyncIterator[str]:
        """Yield the payloads of notifications that arrive within so many seconds."""
        if self._connection is None:
            raise ConnectionLost
        try:
            async for notification in self._connection.notifies(timeout=timeout):
                yield notification.payload
        except psycopg.Error as error:
            self._check(error)
            raise

    def _check(self, error: psycopg.Error) -> None:
        if self._connection is None or self._connection.closed:
            self._health.lost(self._purpose, error)
            raise ConnectionLost from error

    async def _open(self) -> Connection:
        connection = await psycopg.AsyncConnection[DictRow].connect(
            **parameters(self._alias, self._purpose), autocommit=True, row_factory=dict_row
        )
        try:
            if self.role:
                await connection.execute(sql.SQL("set role {}").format(sql.Identifier(self.role)))
            # A pooler invents the process id that it tells at login, and may execute each statement somewhere else,
            # where what was prepared is unknown.
            (pid,) = await _fetch(connection, BACKEND)
            self._direct = pid == connection.info.backend_pid
            set_json_loads(codec.loads, connection)
            if self._direct:
                await _watch_client(connection)
            connection.prepare_threshold = PREPARE_AFTER if self._direct else None
        except BaseException:
            await connection.close()
            raise
        return connection


async def _watch_client(connection: Connection) -> None:
    """Have the server notice soon that we are gone, with the locks that it holds for us, even if it waits for one."""
    for name, value in SERVER_SETTINGS.items():
        with contextlib.suppress(psycopg.Error):  # the server's platform cannot, or it is older
            await connection.execute("select set_config(%s, %s, false)", [name, value])


async def _fetch(connection: Connection, query: Query[Row]) -> list[Row]:
    cursor = await connection.execute(query.sql, query.params)
    return [query.read(row) for row in await cursor.fetchall()] if cursor.description else []


def parameters(alias: str, purpose: str) -> dict[str, Any]:
    """Return how to connect to a Django database from outside Django."""
    values: dict[str, Any] = {
        name: value
        for name, value in connections[alias].get_connection_params().items()
        # Django's cursor and adapters are for Django's connections.
        if name not in ("cursor_factory", "context", "prepare_threshold")
    }
    values.setdefault("application_name", f"django-pgflow {purpose}")
    values.setdefault("connect_timeout", 10)
    return {**KEEPALIVE, **values, "prepare_threshold": None}


def pauses() -> Iterator[float]:
    """Yield seconds to wait between attempts, for ever: growing, and no two workers in step."""
    pause = SHORTEST
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        pause = min(pause * 2, LONGEST)


def one_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
