"""The tasks in this worker's hands: begun, and ended but not yet reported."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django_pgflow.db.records import ExchangeRecord, TaskReport
from django_pgflow.worker.executors import Executors
from django_pgflow.worker.executors.base import Executor
from django_pgflow.worker.task import Outcome, Task, TaskKey

logger = logging.getLogger(__name__)

CLEAN_UP = 2.0
"""Seconds that a cancelled ``async def`` handler gets to clean up."""


@dataclass(kw_only=True, slots=True)
class Running:
    """A task in its executor."""

    task: Task
    executor: Executor
    alarm: asyncio.TimerHandle
    returning: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A task that waits to be reported; without ``task`` and ``outcome`` if it never began."""

    report: TaskReport
    task: Task | None = None
    outcome: Outcome | None = None

    @property
    def key(self) -> TaskKey:
        """Run, step and index."""
        return (self.report.run_id, self.report.step_slug, self.report.task_index)


class Slots:
    """As many places as the worker may execute tasks at a time. Made and used on the event loop.

    Args:
        concurrency: How many.
        wake: Called on the loop when something has finished.
    """

    def __init__(self, concurrency: int, wake: Callable[[], None]) -> None:
        self._concurrency = concurrency
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._executors = Executors(self._deliver)
        self._running: dict[TaskKey, Running] = {}
        self._finished: list[Finished] = []
        self._reporting: list[Finished] = []
        self._inbox: deque[tuple[Task, Outcome]] = deque()  # filled from any thread
        self._inbox_called = False

    @property
    def free(self) -> int:
        """Slots without a task."""
        return self._concurrency - len(self._running)

    @property
    def running(self) -> int:
        """Slots with a task."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Tasks that wait to be reported, or are being reported."""
        return len(self._finished) + len(self._reporting)

    @property
    def empty(self) -> bool:
        """Whether no task is in hand at all."""
        return not (self._running or self._inbox or self._finished or self._reporting)

    @property
    def leftovers(self) -> int:
        """Handlers that go on although nobody waits for them."""
        return self._executors.abandoned_count()

    def keys(self) -> set[TaskKey]:
        """Return the tasks in hand."""
        return {*self._running, *(finished.key for finished in (*self._finished, *self._reporting))}

    def start(self, task: Task) -> None:
        """Begin a task in a slot."""
        executor = self._executors.of(task.step)
        # A coroutine is cancelled in time by its executor; here it is only given up if it does not heed that.
        patience = task.record.timeout + (CLEAN_UP if task.step.is_async else 0.0)
        alarm = self._loop.call_later(patience, self._time_out, task)
        self._running[task.key] = Running(task=task, executor=executor, alarm=alarm)
        executor.start(task)

    def release(self, record: ExchangeRecord) -> None:
        """Give back a task that was claimed and will not begin here."""
        report = TaskReport(
            run_id=record.run_id,
            step_slug=record.step_slug,
            task_index=record.task_index,
            attempt=record.attempt,
            outcome="released",
        )
        self._finished.append(Finished(report=report))

    def collect(self) -> bool:
        """Take over what the executors delivered. Returns whether anything is to be reported."""
        self._inbox_called = False
        while self._inbox:
            self._finish(*self._inbox.popleft())
        return bool(self._finished)

    @contextlib.contextmanager
    def reporting(self) -> Iterator[list[Finished]]:
        """Give what is to be reported; it stays in hand until the block has ended well."""
        self._reporting, self._finished = self._finished, []
        yield self._reporting
        self._reporting = []

    async def give_back(self) -> None:
        """End all tasks in such a way that their attempts do not count."""
        for running in self._running.values():
            running.returning = True
            running.executor.cancel(running.task)
        deadline = time.monotonic() + CLEAN_UP
        while time.monotonic() < deadline and any(r.task.step.is_async for r in self._running.values()):
            await asyncio.sleep(0.01)
            self.collect()
        for running in list(self._running.values()):
            running.executor.abandon(running.task)
            self._finish(running.task, running.task.released())
        self._wake()

    def close(self) -> None:
        """Let what is idle end."""
        self._executors.close()

    def _time_out(self, task: Task) -> None:
        self.collect()  # it may just have ended
        running = self._running.get(task.key)
        if running is None or running.task is not task:
            self._wake()
            return
        running.executor.abandon(task)
        fields = task.log_fields()
        logger.warning(
            "Handler did not end in time; its slot is free again, its result will not count "
            "flow=%s run=%s step=%s index=%d attempt=%d leftovers=%d",
            *fields.values(),
            self.leftovers,
            extra=fields,
        )
        self._finish(task, task.timed_out())
        self._wake()

    def _deliver(self, task: Task, outcome: Outcome) -> None:
        """Take an outcome from an executor, in any thread; however many come at once, the loop is woken once."""
        self._inbox.append((task, outcome))
        if not self._inbox_called:
            self._inbox_called = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: the task was given back
                self._loop.call_soon_threadsafe(self._wake)

    def _finish(self, task: Task, outcome: Outcome) -> None:
        running = self._running.get(task.key)
        if running is None or running.task is not task:
            return  # given up meanwhile
        del self._running[task.key]
        running.alarm.cancel()
        if running.returning and isinstance(outcome.exception, asyncio.CancelledError):
            outcome = task.released()
        self._finished.append(Finished(report=task.report(outcome), task=task, outcome=outcome))
