"""Does harm, by a plan that a seed determines."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg

from example_project.embedded_postgres import EmbeddedPostgres
from tests.chaos.crew import Crew
from tests.chaos.watch import Watch

WEIGHTS = {
    "SIGKILL of a worker": 8,
    "SIGTERM of a worker": 3,
    "SIGSTOP of a worker": 2,
    "SIGSTOP, connections cut": 3,
    "connections cut": 4,
    "Postgres stopped hard": 2,
}
"""How often each kind of harm is done."""
PAUSE = (1.5, 5.0)
"""Seconds between two of them, at least and at most."""


@dataclass(frozen=True, kw_only=True)
class Harm:
    """One entry of the plan.

    Attributes:
        at: Seconds after the beginning.
        kind: A key of WEIGHTS.
        place: Which worker; the next one if that one is busy with the last harm.
        seconds: How long a worker is stopped, or Postgres away.
        share: Which part of all connections is cut.
    """

    at: float
    kind: str
    place: int
    seconds: float
    share: float


def plan(seed: int, seconds: float, workers: int) -> Iterator[Harm]:
    """Yield what is to be done within so many seconds."""
    dice = random.Random(f"monkey {seed}")
    at = dice.uniform(*PAUSE)
    while at < seconds:
        kind = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        longest = 3.0 if kind.startswith("Postgres") else 8.0
        yield Harm(
            at=at,
            kind=kind,
            place=dice.randrange(workers),
            seconds=dice.uniform(0.0, longest),
            share=dice.choice([0.1, 0.3, 1.0]),
        )
        at += dice.uniform(*PAUSE)


class Monkey:
    """Carries out the plan.

    Args:
        crew: The workers.
        postgres: The server.
        conninfo: How to connect to it.
        watch: Is told of kills, and of Postgres' returns.
        tell: Writes a line of the diary.
    """

    def __init__(
        self, crew: Crew, postgres: EmbeddedPostgres, conninfo: str, watch: Watch, tell: Callable[[str], None]
    ) -> None:
        self._crew = crew
        self._postgres = postgres
        self._conninfo = conninfo
        self._watch = watch
        self._tell = tell
        self._away: threading.Thread | None = None
        self.counts: Counter[str] = Counter()
        self.skipped = 0

    def run(self, harms: Iterator[Harm]) -> None:
        """Do all of it, each at its time; supervises the crew meanwhile."""
        begin = time.monotonic()
        for harm in harms:
            while time.monotonic() < begin + harm.at:
                self._crew.supervise()
                time.sleep(0.02)
            if self._do(harm):
                self.counts[harm.kind] += 1
            else:
                self._tell(f"{harm.kind}: left out")
                self.skipped += 1
        if self._away is not None:
            self._away.join()

    def _do(self, harm: Harm) -> bool:
        """Do harm; return whether there was anybody to do it to."""
        if harm.kind == "connections cut":
            return self._cut("application_name like 'chaos %%' and random() < %s", harm.share, harm.kind)
        if harm.kind == "Postgres stopped hard":
            if self._away is not None and self._away.is_alive():
                return False
            self._away = threading.Thread(target=self._restart_postgres, args=[harm.seconds])
            self._away.start()
            return True
        place = self._crew.free(harm.place)
        if place is None:
            return False
        if harm.kind == "SIGKILL of a worker":
            self._crew.kill(place)
            self._watch.killed(place.pid)
            self._tell(f"{harm.kind} {place.pid}, started again")
        elif harm.kind == "SIGTERM of a worker":
            self._crew.terminate(place)
            self._tell(f"{harm.kind} {place.pid}, grace {place.grace:.1f} s")
        else:
            self._crew.stop(place, harm.seconds)
            self._tell(f"{harm.kind}: {place.pid} for {harm.seconds:.1f} s")
            if harm.kind == "SIGSTOP, connections cut":
                return self._cut("application_name = %s", f"chaos {place.pid}", harm.kind)
        return True

    def _cut(self, condition: str, value: object, kind: str) -> bool:
        """End connections by a condition."""
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                sql = f"select count(pg_terminate_backend(pid)) from pg_stat_activity where {condition}"
                (count,) = connection.execute(sql, [value]).fetchone() or (0,)
        except psycopg.OperationalError:
            return False  # Postgres is away
        self._tell(f"{kind}: {count} connections")
        return True

    def _restart_postgres(self, seconds: float) -> None:
        self._tell(f"Postgres stopped hard, for {seconds:.1f} s")
        self._postgres.stop("immediate")
        time.sleep(seconds)
        self._postgres.start()
        self._watch.returns.append(time.monotonic())
        self._tell("Postgres is back")
