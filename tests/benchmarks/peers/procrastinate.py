"""Procrastinate: its command-line worker, asynchronous tasks.

- Concurrency: https://procrastinate.readthedocs.io/en/stable/howto/production/concurrency.html; the number is ours.
- Polling: ``fetch_job_polling_interval`` of ``App.run_worker_async``, since a job that is deferred just when the worker
  fetches is found by polling only, five seconds later by default.
- Bulk: ``Task.batch_defer``.
- It has no workflows: in the chain each task defers the next one, and nothing waits for many jobs (map, diamonds).
"""

from __future__ import annotations

import os
import sys

import procrastinate

from tests.benchmarks import protocol
from tests.benchmarks.peers import _postgres

URL = f"postgresql://postgres@/{os.environ['BENCH_DATABASE']}?host={os.environ['BENCH_SOCKET']}"
LENGTH = 5
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=URL))


@app.task(name="only")
async def only() -> None: ...


@app.task(name="link")
async def link(number: int) -> None:
    if number < LENGTH:
        await link.defer_async(number=number + 1)


class Driver(_postgres.PostgresDriver):
    """See above."""

    packages = ("procrastinate",)
    about = (
        "`procrastinate worker --concurrency=30 --fetch-job-polling-interval=0.1`, `batch_defer`; in the chain each "
        "task defers the next"
    )

    def setup(self) -> None:
        """Make the tables."""
        app.open()
        app.schema_manager.apply_schema()
        self.connect()
        self._last = 0

    def worker_command(self) -> list[str]:
        """Return what the documentation says."""
        command = [sys.executable, "-m", "procrastinate", "--app=tests.benchmarks.peers.procrastinate.app"]
        return [*command, "worker", "--concurrency=30", "--fetch-job-polling-interval=0.1"]

    def start_one(self) -> None:
        """Defer one."""
        self._last = only.defer()

    def start_many(self, count: int) -> None:
        """Defer them by one statement."""
        self._last = only.batch_defer(*({} for _ in range(count)))[-1]

    def unfinished(self) -> bool:
        """Look at the last one first."""
        if self._unfinished_last():
            return True
        return bool(
            self.value("select exists (select from procrastinate_jobs where status in ('todo', 'doing'))"),
        )

    def failed(self) -> int:
        """Ask the table."""
        return int(
            self.value("select count(*) from procrastinate_jobs where status not in ('todo', 'doing', 'succeeded')")
        )

    def clear(self) -> None:
        """Delete the jobs."""
        self.value("truncate procrastinate_jobs cascade")

    def chain(self) -> None:
        """Wait for the last one: nobody else takes an id meanwhile."""
        self._last = link.defer(number=1) + LENGTH - 1
        protocol.wait(self._unfinished_last, 0.0005)

    def _unfinished_last(self) -> bool:
        return self.value("select status from procrastinate_jobs where id = %s", self._last) not in (
            "succeeded",
            "failed",
        )
