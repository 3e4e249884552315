"""What the worker needs of a place where handlers run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from django_pgflow.worker.task import Outcome, Task

Done = Callable[[Task, Outcome], None]
"""Takes what became of a task: once, from any thread, unless the task was abandoned before."""


class Executor(Protocol):
    """A place where handlers run."""

    def start(self, task: Task) -> None:
        """Begin a task. Called on the event loop; must not block."""

    def cancel(self, task: Task) -> None:
        """Ask a task to stop, if that can be asked here."""

    def abandon(self, task: Task) -> None:
        """Wait for a task no more: its slot is free, its outcome will not be heard."""

    def close(self) -> None:
        """Take no more tasks, and let what is idle end."""

    def abandoned_count(self) -> int:
        """Return how many abandoned tasks are running all the same."""
