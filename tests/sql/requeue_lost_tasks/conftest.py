"""Workers of which a test says whether they look lost. Locks are those of other sessions, as they are in life."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from django_pgflow.db.core.current import Core
from django_pgflow.db.records import WorkerDetails
from tests.fixtures.sql import Sessions, Sql


class Workers:
    """Workers, and how they get lost.

    Args:
        sql: The session in which they are registered, and looked for.
        other: Another, for their locks.
    """

    def __init__(self, sql: Sql, other: Sql) -> None:
        self._sql = sql
        self._other = other

    def register(self, flow_slugs: str = "flow", *, holds_lock: bool = True, silence: int = 60) -> UUID:
        """Register a worker of some flows, separated by commas; its lock is free until it is taken."""
        worker_id = self._sql.worker(flow_slugs)
        self.describe(worker_id, holds_lock=holds_lock, silence=silence)
        return worker_id

    def describe(self, worker_id: UUID, *, holds_lock: bool = True, silence: int = 60) -> None:
        """Say how to tell that a worker is lost, as it does when it starts, and when it was taken for lost."""
        details = WorkerDetails(
            hostname="host", pid=1, version="1", concurrency=1, holds_lock=holds_lock, silence=silence
        )
        self._sql.ask(Core().describe_worker(worker_id, details))

    def suspect(self, worker_id: UUID) -> None:
        """Let the last look, a second ago, have taken a worker for lost."""
        self._sql.rows(
            "update django_pgflow.worker_details set lost_at = clock_timestamp() - interval '1 second' "
            "where worker_id = %(id)s",
            id=worker_id,
        )

    def take_lock(self, worker_id: UUID) -> None:
        """Take a worker's lock."""
        assert self._other.value("select pg_try_advisory_lock(django_pgflow.worker_lock(%(id)s))", id=worker_id)

    def free_lock(self, worker_id: UUID) -> None:
        """Free a worker's lock, as the end of its session does."""
        assert self._other.value("select pg_advisory_unlock(django_pgflow.worker_lock(%(id)s))", id=worker_id)

    def fall_silent(self, worker_id: UUID, seconds: float) -> None:
        """Let the last sign of life of a worker be that old."""
        self._sql.rows(
            "update pgflow.workers set last_heartbeat_at = clock_timestamp() - make_interval(secs => %(seconds)s) "
            "where worker_id = %(id)s",
            id=worker_id,
            seconds=seconds,
        )

    def start_server(self, seconds: float) -> None:
        """Let the server have been started so many seconds ago."""
        self._sql.rows(
            "create or replace function django_pgflow._server_started_at() returns timestamptz language sql "
            f"as $$ select clock_timestamp() - make_interval(secs => {float(seconds)}) $$"
        )

    def look(self, worker_id: UUID | None = None) -> tuple[int, int, int]:
        """Look once; return how many live, are lost, and how many tasks were given back."""
        (found,) = self._sql.call("django_pgflow.requeue_lost_tasks", worker_id=worker_id)
        return tuple(found)

    def wait(self) -> None:
        """Let half a second pass since the last look."""
        self._sql.rows("update django_pgflow.worker_details set lost_at = lost_at - interval '1 second'")

    def find(self) -> tuple[int, int, int]:
        """Look twice, half a second apart."""
        self.look()
        self.wait()
        return self.look()

    def looks_lost(self, worker_id: UUID) -> bool:
        """Return whether the last look took a worker for lost, if the next does so, too."""
        return self._details(worker_id).lost_at is not None

    def is_stopped(self, worker_id: UUID) -> bool:
        """Return whether a worker is noted as stopped."""
        return self._details(worker_id).stopped_at is not None

    def _details(self, worker_id: UUID) -> Any:
        return self._sql.row(
            "select d.lost_at, w.stopped_at from pgflow.workers w "
            "join django_pgflow.worker_details d on d.worker_id = w.worker_id where w.worker_id = %(id)s",
            id=worker_id,
        )


@pytest.fixture
def workers(sql: Sql, sessions: Sessions) -> Workers:
    """Let workers be registered in the session ``sql``, on a server that has run for an hour."""
    made = Workers(sql, sessions.open())
    made.start_server(3600)
    return made
