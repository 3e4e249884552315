"""Looks at the database all the time: how long the tasks of killed workers wait, and whether any outlives its lease."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

LOOK = 0.1
"""Seconds between two looks while a kill is not settled."""
SETTLING = 12.0
"""Seconds after the return of Postgres in which workers are still coming back."""
LEASE = 35.0
"""Seconds beyond its timeout after which a started task must have been found."""

HELD = """
select w.function_name, t.run_id, t.step_slug, t.task_index
from chaos.live_tasks t
join pgflow.workers w on w.worker_id = t.last_worker_id
where t.status = 'started' and w.function_name = any (%s)
"""
OVERDUE = """
select t.run_id, t.step_slug, t.task_index, extract(epoch from clock_timestamp() - t.started_at)::float - t.timeout
from chaos.live_tasks t
where t.status = 'started' and t.started_at < clock_timestamp() - make_interval(secs => t.timeout + %s)
"""

TaskKey = tuple[UUID, str, int]


@dataclass(kw_only=True)
class Kill:
    """A worker that was killed, and when the tasks that it held were in other hands."""

    name: str
    pid: int
    at: float
    held: set[TaskKey] = field(default_factory=set)
    recovered: dict[TaskKey, float] = field(default_factory=dict)
    """Seconds from the kill, by task."""
    settled: bool = False

    @property
    def seconds(self) -> float:
        """Seconds until the last of its tasks was recovered; if it held none, 0."""
        return max(self.recovered.values(), default=0.0)


class Watch:
    """A thread that looks.

    Args:
        conninfo: Where.
        tell: Writes a line of the diary.
    """

    def __init__(self, conninfo: str, tell: Callable[[str], None]) -> None:
        self._conninfo = conninfo
        self._tell = tell
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.kills: list[Kill] = []
        self.returns: list[float] = []
        """When Postgres was there again after it had been stopped."""
        self.overdue: dict[TaskKey, float] = {}
        """Started tasks that were not found in time, and the most seconds beyond their timeout."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._end.set()
        self._thread.join()

    def killed(self, pid: int) -> None:
        """Note that a worker is killed now."""
        self.kills.append(Kill(name=f"{socket.gethostname()}:{pid}", pid=pid, at=time.monotonic()))

    def undisturbed(self, kill: Kill) -> bool:
        """Return whether Postgres was there while the tasks of a killed worker waited, and a while before."""
        return not any(kill.at - SETTLING < at < kill.at + kill.seconds for at in self.returns)

    def _work(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        overdue_at = 0.0
        while not self._end.wait(LOOK):
            try:
                if connection is None:
                    connection = psycopg.connect(self._conninfo, autocommit=True)
                self._look_at_kills(connection)
                if time.monotonic() > overdue_at:
                    overdue_at = time.monotonic() + 1.0
                    self._look_at_leases(connection)
            except psycopg.OperationalError:  # Postgres is away
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _look_at_kills(self, connection: psycopg.Connection[Any]) -> None:
        kills = [kill for kill in self.kills if not kill.settled]
        if not kills:
            return
        begin = time.monotonic()
        rows = connection.execute(HELD, [[kill.name for kill in kills]]).fetchall()
        now = time.monotonic()
        for kill in kills:
            held = {(row[1], row[2], row[3]) for row in rows if row[0] == kill.name}
            kill.held |= held
            for task in kill.held - held:
                kill.recovered.setdefault(task, now - kill.at)
            # What the worker sent before it died may be carried out a moment later.
            if not held and begin > kill.at + 1.0:
                kill.settled = True
                self._tell(f"killed worker {kill.pid} held {len(kill.held)} tasks, recovered in {kill.seconds:.1f} s")

    def _look_at_leases(self, connection: psycopg.Connection[Any]) -> None:
        found = {(row[0], row[1], row[2]): row[3] for row in connection.execute(OVERDUE, [LEASE])}
        if new := found.keys() - self.overdue.keys():
            run_id, step_slug, task_index = min(new)
            self._tell(f"OVERDUE: {len(new)} tasks, the first is {step_slug}[{task_index}] of run {run_id}")
        for task, seconds in found.items():
            self.overdue[task] = max(self.overdue.get(task, 0.0), seconds)
