"""Chancy: asynchronous jobs, its workflow plugin; https://tkte.ch/chancy/.

The pages are made of the docstrings, which suggest what is done here; the numbers are ours.

- ``AsyncExecutor`` ("large numbers of IO-bound jobs"), ``Queue.concurrency`` and ``eager_polling``; ``push_many``.
- Chain, map and diamonds: ``Sequence``, ``Workflow`` of the workflow plugin. Steps take no results of others there.
- ``Leadership``: a worker applies for it, without which no workflow goes on, a minute after its start by default.
- ``Worker.send_outgoing_interval``: how often results are written, a second by default, for which each step of a
  workflow would wait.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine
from typing import Any

from chancy import Chancy, Job, Queue, Worker, job
from chancy.plugins.leadership import Leadership
from chancy.plugins.workflow import Sequence, Workflow, WorkflowPlugin

from tests.benchmarks import protocol
from tests.benchmarks.peers import _postgres

URL = f"postgresql://postgres@/{os.environ['BENCH_DATABASE']}?host={os.environ['BENCH_SOCKET']}"
QUEUE = Queue(name="default", concurrency=200, executor=Chancy.Executor.Async, polling_interval=1, eager_polling=True)

OUTGOING = 0.02
"""Seconds between two writes of results."""


@job(queue="default")
async def only() -> None: ...


@job(queue="default")
async def element(value: int) -> int:
    return value


class Driver(_postgres.PostgresDriver):
    """See above."""

    packages = ("chancy",)
    about = (
        "AsyncExecutor, concurrency 200, eager polling, results written each 20 ms, `push_many`; the workflow plugin"
    )

    def setup(self) -> None:
        """Make the tables and the queue."""
        self._loop = asyncio.new_event_loop()
        self._chancy = application()
        self._do(self._chancy.migrate())
        self._do(self._chancy.declare(QUEUE, upsert=True))
        self.connect()

    def start_one(self) -> None:
        """Push one."""
        self._last = self._do(self._chancy.push(only.job)).identifier

    def start_many(self, count: int) -> None:
        """Push them in its batches of 1,000."""
        self._do(self._push_many([only.job] * count))

    def unfinished(self) -> bool:
        """Look at the last one first."""
        if self.value("select state from chancy_jobs where id = %s", self._last) not in ("succeeded", "failed"):
            return True
        return bool(
            self.value("select exists (select from chancy_jobs where state not in ('succeeded', 'failed'))"),
        )

    def failed(self) -> int:
        """Ask the table."""
        return int(self.value("select count(*) from chancy_jobs where state = 'failed'"))

    def clear(self) -> None:
        """Delete the jobs."""
        self.value("truncate chancy_jobs cascade")

    def chain(self) -> None:
        """A sequence."""
        protocol.wait(lambda: not self.value("select exists (select from chancy_leader)"))
        self._finish(self._do(Sequence("chain", [only] * 5).push(self._chancy)), 0.0005)

    def map(self, size: int) -> None:
        """A group, and a step that depends on all of it."""
        names = [f"element_{number}" for number in range(size)]
        jobs: list[tuple[str, Any]] = [
            (name, element.job.with_kwargs(value=number)) for number, name in enumerate(names)
        ]
        self._finish(self._push(Workflow("map").add_group(jobs).add("collect", only, names)))

    def diamonds(self, count: int) -> None:
        """One workflow each."""
        ids = []
        for _ in range(count):
            diamond = Workflow("diamond").add("a", only).add("b", only, ["a"]).add("c", only, ["a"])
            ids.append(self._push(diamond.add("d", only, ["b", "c"])))
        for one in ids:
            self._finish(one)

    def _do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(coroutine)

    def _push(self, workflow: Workflow) -> str:
        return str(self._do(WorkflowPlugin.push(self._chancy, workflow)))

    async def _push_many(self, jobs: list[Job]) -> None:
        async for references in self._chancy.push_many(jobs):
            self._last = references[-1].identifier

    def _finish(self, workflow_id: str, pause: float = 0.002) -> None:
        statement = "select state not in ('completed', 'failed') from chancy_workflows where id = %s"
        protocol.wait(lambda: bool(self.value(statement, workflow_id)), pause)


def work() -> None:
    """Be a worker."""

    async def until_told_to_stop() -> None:
        async with application() as chancy:
            worker = Worker(chancy)
            worker.send_outgoing_interval = OUTGOING
            async with worker:
                await worker.wait_for_shutdown()

    asyncio.run(until_told_to_stop())


def application() -> Chancy:
    """Return the application, with a log that has no line for each job, as the default one has."""
    logger = logging.getLogger("chancy")
    logger.addHandler(logging.StreamHandler())
    logger.setLevel(logging.WARNING)
    return Chancy(URL, log=logger, plugins=[Leadership(poll_interval=1, timeout=60)])
