"""Where handlers run: ``def`` in threads, ``async def`` on the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_pgflow.worker.executors.base import Done, Executor
from django_pgflow.worker.executors.loop import LoopExecutor
from django_pgflow.worker.executors.threads import ThreadExecutor

if TYPE_CHECKING:
    from django_pgflow.dsl.steps import Step


class Executors:
    """All executors of one worker. Made and used on the event loop.

    Args:
        done: Takes what became of each task.
    """

    def __init__(self, done: Done) -> None:
        self._threads = ThreadExecutor(done)
        self._loop = LoopExecutor(done)

    def of(self, step: Step[..., Any]) -> Executor:
        """Return where a step's handler is to run."""
        return self._loop if step.is_async else self._threads

    def abandoned_count(self) -> int:
        """Return how many handlers go on although nobody waits for them."""
        return self._threads.abandoned_count() + self._loop.abandoned_count()

    def close(self) -> None:
        """Take no more tasks, and let what is idle end."""
        self._threads.close()
        self._loop.close()
