"""Sends the worker's signals, in order, out of one thread, so that no receiver holds up the loop."""

from __future__ import annotations

import queue
import threading
from typing import Any

from django.dispatch import Signal

from django_pgflow.worker import connections
from django_pgflow.worker.task import Task


class Announcer:
    """A queue of signals and the thread that sends them."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Signal, Task, dict[str, Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="pgflow-signals", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def tell(self, signal: Signal, task: Task, **values: Any) -> None:
        """Send a signal soon, if anybody listens."""
        if signal.receivers and signal.has_listeners(task.flow):
            self._queue.put((signal, task, values))

    def close(self, timeout: float = 5.0) -> None:
        """Send what is left, and end the thread; a receiver that hangs is not waited for beyond ``timeout``."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _work(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                signal, task, values = item
                connections.before_task()
                signal.send_robust(sender=task.flow, task=task, **values)  # logs what a receiver raises
                del item, task, values
                if self._queue.empty():
                    connections.after_task()
        finally:
            connections.close_all()
