"""DBOS Transact: asynchronous workflows and steps in the process, queues for what other processes are to do.

- Queues, from outside: https://docs.dbos.dev/python/reference/client (``DBOSClient.enqueue``; many in one commit by
  ``enqueue_in_transaction``), and https://docs.dbos.dev/python/tutorials/queue-tutorial. ``worker_concurrency`` and how
  often a queue is looked at are arguments of ``DBOS.register_queue``; the numbers are ours.
- Map: as in the queue tutorial, a workflow that enqueues a workflow for each element and gathers the results.
- Chain and diamonds: https://docs.dbos.dev/python/tutorials/workflow-tutorial, called in the process, without a queue;
  steps side by side by ``asyncio.gather``.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import sqlalchemy
from dbos import DBOS, DBOSClient, DBOSConfig

from tests.benchmarks.peers import _postgres

URL = f"postgresql+psycopg://postgres@/{os.environ['BENCH_DATABASE']}?host={os.environ['BENCH_SOCKET']}"
QUEUE = "bench"


@DBOS.step()
async def step(value: int) -> int:
    return value


@DBOS.workflow()
async def only() -> None: ...


@DBOS.workflow()
async def element(value: int) -> int:
    return value


@DBOS.workflow()
async def chain() -> int:
    value = 1
    for _ in range(5):
        value = await step(value)
    return value


@DBOS.workflow()
async def fan_out(size: int) -> int:
    handles = [await DBOS.enqueue_workflow_async(QUEUE, element, number) for number in range(size)]
    return len([await handle.get_result(polling_interval_sec=0.01) for handle in handles])


@DBOS.workflow()
async def diamond() -> int:
    value = await step(1)
    left, right = await asyncio.gather(step(value + 1), step(value + 2))
    return await step(left + right)


def launch(executor: str, queues: list[str]) -> None:
    """Make this process one of DBOS."""
    config = DBOSConfig(
        name="bench", system_database_url=URL, executor_id=executor, application_version="1", log_level="WARNING"
    )
    DBOS(config=config)
    DBOS.listen_queues(queues)
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=100, polling_interval_sec=0.05)


class Driver(_postgres.PostgresDriver):
    """See above."""

    packages = ("dbos",)
    about = (
        "queue with worker concurrency 100, polled each 50 ms; chain and diamonds in the client's process, without a "
        "queue; the map as a workflow that enqueues workflows"
    )

    def setup(self) -> None:
        """Make the tables."""
        launch("client", [])
        self._client = DBOSClient(system_database_url=URL)
        self._engine = sqlalchemy.create_engine(URL)
        self._loop = asyncio.new_event_loop()
        self.connect()

    def start_one(self) -> None:
        """Enqueue one."""
        self._last = self._client.enqueue(self._options("only")).get_workflow_id()

    def start_many(self, count: int) -> None:
        """Enqueue them in one transaction."""
        with self._engine.begin() as connection:
            for _ in range(count):
                handle: Any = self._client.enqueue_in_transaction(connection, self._options("only"))
        self._last = handle.get_workflow_id()

    def unfinished(self) -> bool:
        """Look at the last one first."""
        statement = "select status from dbos.workflow_status where workflow_uuid = %s"
        if self.value(statement, self._last) in ("ENQUEUED", "PENDING"):
            return True
        statement = "select exists (select from dbos.workflow_status where status in ('ENQUEUED', 'PENDING'))"
        return bool(self.value(statement))

    def failed(self) -> int:
        """Ask the table."""
        return int(
            self.value(
                "select count(*) from dbos.workflow_status where status not in ('SUCCESS', 'ENQUEUED', 'PENDING')"
            )
        )

    def clear(self) -> None:
        """Delete the workflows."""
        self.value("truncate dbos.workflow_status cascade")

    def chain(self) -> None:
        """Call it."""
        self._loop.run_until_complete(chain())

    def map(self, size: int) -> None:
        """Have the worker do it."""
        self._client.enqueue(self._options("fan_out"), size).get_result(polling_interval_sec=0.005)

    def diamonds(self, count: int) -> None:
        """Start them all here, and wait."""

        async def all_of_them() -> None:
            handles = [await DBOS.start_workflow_async(diamond) for _ in range(count)]
            await asyncio.gather(*(handle.get_result(polling_interval_sec=0.005) for handle in handles))

        self._loop.run_until_complete(all_of_them())

    def _options(self, workflow: str) -> Any:
        return {"queue_name": QUEUE, "workflow_name": workflow, "app_version": "1"}


def work() -> None:
    """Be a worker."""
    launch(f"worker-{os.getpid()}", [QUEUE])
    threading.Event().wait()
