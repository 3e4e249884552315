"""Where handlers run: ``async def`` on the event loop, ``def`` in threads or where the step's ``executor=`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_pgflow.worker.executors.base import Done, Executor
from django_pgflow.worker.executors.futures import FuturesExecutor
from django_pgflow.worker.executors.loop import LoopExecutor
from django_pgflow.worker.executors.processes import ProcessExecutor
from django_pgflow.worker.executors.threads import ThreadExecutor

if TYPE_CHECKING:
    from django_pgflow.dsl.steps import Step


class Executors:
    """All executors of one worker, each made at its first task. Made and used on the event loop.

    Args:
        done: Takes what became of each task.
    """

    def __init__(self, done: Done) -> None:
        self._done = done
        self._made: dict[str, Executor] = {}

    def of(self, step: Step[..., Any]) -> Executor:
        """Return where a step's handler is to run."""
        name = "" if step.is_async else step.executor or "threads"
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def abandoned_count(self) -> int:
        """Return how many handlers go on although nobody waits for them."""
        return sum(executor.abandoned_count() for executor in self._made.values())

    def close(self) -> None:
        """Take no more tasks, and let what is idle end."""
        for executor in self._made.values():
            executor.close()

    def _make(self, name: str) -> Executor:
        match name:
            case "":
                return LoopExecutor(self._done)
            case "threads":
                return ThreadExecutor(self._done)
            case "processes":
                return ProcessExecutor(self._done)
            case _:
                return FuturesExecutor(name, self._done)
