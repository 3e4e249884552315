"""Threads, for ``def`` handlers."""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator

from django_pgflow.worker import calling, connections
from django_pgflow.worker.executors.base import Done
from django_pgflow.worker.task import Outcome, Task

Call = Callable[[Task], Outcome]

CLOSING = 2.0
"""Seconds to wait for idle threads at the end."""


class ThreadExecutor:
    """Calls ``def`` handlers in daemon threads, as many as are busy at the same time.

    No ``ThreadPoolExecutor``: there, a handler that hangs keeps its slot for ever, and the process from ending.
    """

    _can_stop = False
    """Whether what is abandoned ends at once, so that its thread counts as idle from then on."""

    def __init__(self, done: Done) -> None:
        self._done = done
        self._queue: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._busy: set[Task] = set()
        self._abandoned: set[Task] = set()
        self._numbers = itertools.count(1)

    def start(self, task: Task) -> None:
        """Hand a task to an idle thread, or to a new one."""
        self._busy.add(task)
        self._queue.put(task)
        if not self._idle.acquire(blocking=False):
            thread = threading.Thread(target=self._work, name=f"pgflow-{next(self._numbers)}", daemon=True)
            self._threads.add(thread)
            thread.start()

    def cancel(self, task: Task) -> None:
        """Do nothing: Python cannot stop a thread."""

    def abandon(self, task: Task) -> None:
        """Leave a task to its thread, which is not idle before it has ended; the next task gets another."""
        with self._lock:
            if task in self._busy:
                self._abandoned.add(task)

    def close(self) -> None:
        """Let the idle threads end, and wait until they have closed their connections."""
        threads = list(self._threads)
        for _ in threads:
            self._queue.put(None)
        deadline = time.monotonic() + CLOSING
        for thread in threads:
            if len(self._threads) > len(self._abandoned):
                thread.join(max(0.0, deadline - time.monotonic()))

    def abandoned_count(self) -> int:
        """Return how many threads still run a task that nobody waits for."""
        return len(self._abandoned)

    @contextlib.contextmanager
    def _place(self) -> Iterator[Call]:
        """Give what calls the handlers, one after the other, in the thread that asks."""
        try:
            yield lambda task: contextvars.copy_context().run(calling.call, task)
        finally:
            connections.close_all()

    def _work(self) -> None:
        try:
            with self._place() as call:
                while (task := self._queue.get()) is not None:
                    outcome = call(task)
                    with self._lock:
                        self._busy.discard(task)
                        is_wanted = task not in self._abandoned
                        self._abandoned.discard(task)
                    # Idle before done: whoever hears of it may at once start the next task in this thread.
                    if is_wanted or not self._can_stop:
                        self._idle.release()
                    if is_wanted:
                        self._done(task, outcome)
                    del task, outcome  # an exception holds the handler's frames: not until the next task
        finally:
            self._threads.discard(threading.current_thread())
