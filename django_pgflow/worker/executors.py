"""Where handlers run: ``def`` in threads, ``async def`` on the event loop.

An executor takes a task and calls ``done(task, outcome)`` once, from any thread, unless the task was abandoned before.
Whatever a handler raises, ``SystemExit`` too, is a failure of its task and not the end of the worker.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from django_pgflow.worker import connections
from django_pgflow.worker.task import Outcome, Task

Done = Callable[[Task, Outcome], None]

CLOSING = 2.0
"""Seconds to wait for idle threads at the end."""


class Executor(Protocol):
    """What the worker needs of a place where handlers run."""

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


class ThreadExecutor:
    """Calls ``def`` handlers in daemon threads, as many as are busy at the same time.

    No ``ThreadPoolExecutor``: there, a handler that hangs keeps its slot for ever, and the process from ending.
    """

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
        """Leave a task to its thread, which ends after it; the next task gets another."""
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

    def _work(self) -> None:
        try:
            while (task := self._queue.get()) is not None:
                outcome = contextvars.copy_context().run(_call, task)
                with self._lock:
                    self._busy.discard(task)
                    if task in self._abandoned:
                        self._abandoned.discard(task)
                        return
                # Idle before done: whoever hears of it may at once start the next task in this thread.
                self._idle.release()
                self._done(task, outcome)
                del task, outcome  # an exception holds the handler's frames: not until the next task
        finally:
            connections.close_all()
            self._threads.discard(threading.current_thread())


def _call(task: Task) -> Outcome:
    """Call a ``def`` handler, in the thread that it is to run in."""
    try:
        connections.before_task()
        args, kwargs = task.arguments()
        outcome = task.completed(task.step.func(*args, **kwargs))
    except BaseException as error:
        outcome = task.failed(error)
    try:
        connections.after_task()
    except Exception as error:
        if outcome.kind == "completed":  # else the handler's own error says more
            outcome = task.failed(error)
    return outcome


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
        outcome = await _await(task)
        self._running.pop(task, None)
        if task in self._abandoned:
            self._abandoned.discard(task)
        else:
            self._done(task, outcome)


async def _await(task: Task) -> Outcome:
    """Await an ``async def`` handler."""
    try:
        async with ThreadSensitiveContext() as threads, asyncio.timeout(task.record.timeout) as limit:
            try:
                args, kwargs = task.arguments()
                return task.completed(await task.step.func(*args, **kwargs))
            finally:
                # The context's own exit would wait for the thread, and the loop with it; and it closes no connection.
                thread = SyncToAsync.context_to_thread_executor.pop(threads, None)
                if thread is not None:
                    thread.submit(connections.close_all)
                    thread.shutdown(wait=False)
    except TimeoutError as error:
        return task.timed_out() if limit.expired() else task.failed(error)
    except BaseException as error:
        return task.failed(error)
