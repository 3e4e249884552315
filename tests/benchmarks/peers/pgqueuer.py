"""PgQueuer: a bare queue, whose jobs are deleted when done (a line in its log table is left).

- Driver: https://janbjorge.github.io/pgqueuer/reference/drivers/ (asyncpg); uvloop as its command has it.
- Batches: ``--batch-size`` of its command ``pgq run``, which does not start with typer 0.29, so ``PgQueuer.run`` is
  called here; the number is ours.
- Many at once: ``enqueue`` with lists. It has no workflows.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from typing import Any

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from tests.benchmarks.peers import _postgres


async def connect() -> asyncpg.Connection:
    """Connect."""
    return await asyncpg.connect(
        host=os.environ["BENCH_SOCKET"], database=os.environ["BENCH_DATABASE"], user="postgres"
    )


def work() -> None:
    """Be a worker."""

    async def run() -> None:
        queuer = PgQueuer(AsyncpgDriver(await connect()))

        @queuer.entrypoint("only")
        async def only(job: Job) -> None: ...

        await queuer.run(batch_size=100)

    uvloop.run(run())


class Driver(_postgres.PostgresDriver):
    """See above."""

    packages = ("pgqueuer", "asyncpg")
    about = "batch size 100, asyncpg, uvloop; a bare queue: done jobs are deleted"

    def setup(self) -> None:
        """Make the tables."""
        self._loop = uvloop.new_event_loop()
        self._queries = Queries(AsyncpgDriver(self._do(connect())))
        self._do(self._queries.install())
        self.connect()

    def start_one(self) -> None:
        """Enqueue one."""
        self._do(self._queries.enqueue("only", None))

    def start_many(self, count: int) -> None:
        """Enqueue them by one statement."""
        self._do(self._queries.enqueue(["only"] * count, [None] * count, [0] * count))

    def unfinished(self) -> bool:
        """Ask for what is in the queue."""
        return bool(self.value("select exists (select from pgqueuer)"))

    def failed(self) -> int:
        """Ask the table."""
        return int(self.value("select count(*) from pgqueuer_log where status::text like '%exception%'"))

    def clear(self) -> None:
        """Delete the queue."""
        self.value("truncate pgqueuer")

    def _do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(coroutine)
