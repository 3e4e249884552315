"""The event loop, for ``async def`` handlers."""

from __future__ import annotations

import asyncio

from django_pgflow.worker import calling
from django_pgflow.worker.executors.base import Done
from django_pgflow.worker.task import Task


class LoopExecutor:
    """Awaits ``async def`` handlers on the event loop, each at most for its step's timeout.

    What a handler runs through ``sync_to_async``, the async ORM among it, gets a thread of the task's own, as a request
    does under ASGI.
    """

    def __init__(self, done: Done) -> None:
        self._done = done
        self._running: dict[Task, asyncio.Task[None]] = {}
        self._abandoned: set[Task] = set()

    def start(self, task: Task) -> None:
        """Schedule a task on the running loop."""
        self._running[task] = asyncio.get_running_loop().create_task(self._run(task))

    def cancel(self, task: Task) -> None:
        """Cancel a task at its next ``await``."""
        if running := self._running.get(task):
            running.cancel()

    def abandon(self, task: Task) -> None:
        """Cancel a task, and do not wait for it to clean up."""
        if task in self._running:
            self._abandoned.add(task)
            self.cancel(task)

    def close(self) -> None:
        """Say nothing of tasks that do not end: what was to be said about them was logged when they were given up."""
        for running in self._running.values():
            running._log_destroy_pending = False  # type: ignore[attr-defined]

    def abandoned_count(self) -> int:
        """Return how many tasks have not ended although they were cancelled."""
        return len(self._abandoned)

    async def _run(self, task: Task) -> None:
        outcome = await calling.acall(task)
        self._running.pop(task, None)
        if task in self._abandoned:
            self._abandoned.discard(task)
        else:
            self._done(task, outcome)
