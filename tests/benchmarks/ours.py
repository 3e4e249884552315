"""The driver of this project: default settings, one or two ``runpgflowworker``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from tests.benchmarks import protocol


class Driver(protocol.Driver):
    """Flows of ``async def`` handlers; ``singles_sync`` shows ``def``."""

    packages = ("django-pgflow",)
    about = "`runpgflowworker` with its defaults"

    def setup(self) -> None:
        """Migrate."""
        os.environ["DATABASE_URL"] = f"postgres://postgres@/{self.socket}/{self.database}"
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        from tests.benchmarks import flows

        self._flows = flows
        self._single: Any = flows.bench_single
        self._last: Sequence[Any] = []

    def worker_command(self) -> list[str]:
        """Return what the README says."""
        return [sys.executable, "-m", "django", "runpgflowworker", "--grace", "1"]

    def start_one(self) -> None:
        """Start one."""
        self._last = [self._single.start()]

    def start_many(self, count: int) -> None:
        """Start them by one statement."""
        self._last = self._single.bulk_start({} for _ in range(count))

    def unfinished(self) -> bool:
        """Look at the last one first: that is the cheapest."""
        from django.db import connection

        last = self._last[-1]
        with connection.cursor() as cursor:
            cursor.execute("select status = 'started' from pgflow.runs where run_id = %s", [last.run_id])
            if cursor.fetchone()[0]:
                return True
            cursor.execute(
                "select exists (select from pgflow.runs where flow_slug = %s and status = 'started')", [last.flow_slug]
            )
            return bool(cursor.fetchone()[0])

    def failed(self) -> int:
        """Count the runs that have."""
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("select count(*) from pgflow.runs where status = 'failed'")
            return int(cursor.fetchone()[0])

    def prepare_singles_sync(self) -> None:
        """Take the flow whose handler is ``def``."""
        self._single = self._flows.bench_single_sync

    def chain(self) -> None:
        """One run."""
        self._last = [self._flows.bench_chain.start()]
        protocol.wait(self._first_unfinished, 0.0005)

    def map(self, size: int) -> None:
        """One run."""
        self._last = [self._flows.bench_map.start(list(range(size)))]
        protocol.wait(self._first_unfinished)

    def map_100000(self) -> None:
        """The same."""
        self.map(100_000)

    def diamonds(self, count: int) -> None:
        """So many runs, started by one statement."""
        self._last = self._flows.bench_diamond.bulk_start({} for _ in range(count))
        protocol.wait(self.unfinished)

    def _first_unfinished(self) -> bool:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("select status = 'started' from pgflow.runs where run_id = %s", [self._last[0].run_id])
            return bool(cursor.fetchone()[0])
