"""The tasks in this worker's hands: claimed, begun, and ended but not yet reported."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from django_pgflow.db.records import ExchangeRecord, HeldRecord, TaskReport
from django_pgflow.worker.executors import Executors
from django_pgflow.worker.executors.base import Executor
from django_pgflow.worker.pace import Pace
from django_pgflow.worker.task import Outcome, Task, TaskKey

logger = logging.getLogger(__name__)

CLEAN_UP = 2.0
"""Seconds that a cancelled ``async def`` handler gets to clean up."""
TICK = 0.2
"""Seconds between two looks at the clock while a task is in hand."""
PATIENCE = 0.5
"""Seconds that a claimed task waits for a slot before another worker may have it."""
SUSPECT_AFTER = 2
"""Workers that died with a task in their hands, after which it is alone in the next: it, or one beside it, did that."""
SUSPECT_PATIENCE = 10.0
"""Seconds that such a task waits for those that began before it to end."""


@dataclass(kw_only=True, slots=True)
class Running:
    """A task in its executor."""

    task: Task
    executor: Executor
    returning: bool = False
    give_up_at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A task that has ended here.

    Attributes:
        key: Run, step and index.
        report: What is to be reported; None if the handler's own commit did.
        task, outcome: None if it never began.
    """

    key: TaskKey
    report: TaskReport | None
    task: Task | None = None
    outcome: Outcome | None = None


class Slots:
    """As many places as the worker may execute tasks at a time, and a few tasks that wait for one.

    Made and used on the event loop.

    Args:
        concurrency: How many places.
        wake: Called on the loop when something has finished.
        begun: Called with each task that begins, right before it does.
    """

    def __init__(self, concurrency: int, wake: Callable[[], None], begun: Callable[[Task], None]) -> None:
        self._concurrency = concurrency
        self._wake = wake
        self._begun = begun
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._executors = Executors(self._deliver)
        self._pace = Pace(concurrency)
        self._waiting: deque[tuple[Task, float]] = deque()  # with the time when each came
        self._suspect: tuple[Task, float] | None = None
        self._alone: Task | None = None
        self._running: dict[Task, Running] = {}
        self._finished: list[Finished] = []
        self._reporting: list[Finished] = []
        self._inbox: deque[tuple[Task, Outcome]] = deque()  # filled from any thread
        self._inbox_called = False
        self._ticking = False
        self._missing: set[HeldRecord] = set()

    @property
    def room(self) -> int:
        """How many tasks the worker wants now: for free slots, and a few more where they end fast."""
        if self._is_isolating:
            return 0
        free = self._concurrency - len(self._running)
        return max(0, free + self._pace.ahead() - len(self._waiting))

    @property
    def running(self) -> int:
        """Slots with a task."""
        return len(self._running)

    @property
    def unreported(self) -> int:
        """Tasks that wait to be reported, or are being reported."""
        return len(self._finished) + len(self._reporting)

    @property
    def to_report(self) -> bool:
        """Whether anything is to be reported."""
        return bool(self._finished)

    @property
    def empty(self) -> bool:
        """Whether no task is in hand at all."""
        return not (self._running or self._waiting or self._suspect or self._inbox or self.unreported)

    @property
    def leftovers(self) -> int:
        """Handlers that go on although nobody waits for them."""
        return self._executors.abandoned_count()

    def keys(self) -> set[TaskKey]:
        """Return the tasks in hand."""
        return {
            *(task.key for task in self.in_hand()),
            *(finished.key for finished in (*self._finished, *self._reporting)),
        }

    @property
    def count(self) -> int:
        """All tasks in hand."""
        return len(self._running) + len(self._waiting) + (self._suspect is not None) + self.unreported

    def in_hand(self) -> list[Task]:
        """Return the tasks that are being executed, or wait for a slot."""
        suspects = [self._suspect] if self._suspect else []
        return [*self.tasks(), *(task for task, _ in (*self._waiting, *suspects))]

    def tasks(self) -> list[Task]:
        """Return the tasks that are being executed."""
        return list(self._running)

    def sift(self, records: Sequence[ExchangeRecord]) -> Sequence[ExchangeRecord]:
        """Return which of the tasks that were claimed together are to begin here: all, or the one that is to be alone.

        The others are given back.
        """
        suspect = max(records, key=lambda record: record.requeued_count, default=None)
        if suspect is None or suspect.requeued_count < SUSPECT_AFTER:
            return records
        for record in records:
            if record is not suspect:
                self.release(record)
        return [suspect]

    def start(self, task: Task) -> None:
        """Begin a task in a slot, or let it wait for one."""
        if task.record.requeued_count >= SUSPECT_AFTER:
            self.release_waiting()
            self._suspect = (task, self._loop.time())
        else:
            self._waiting.append((task, self._loop.time()))
        self._fill()
        self._tick_later()

    def release(self, record: ExchangeRecord | HeldRecord) -> None:
        """Give back a task that was claimed and will not begin here."""
        key = (record.run_id, record.step_slug, record.task_index)
        self._finished.append(Finished(key=key, report=TaskReport.released(record)))

    def compare(self, held: Iterable[HeldRecord]) -> None:
        """Give back what the database thinks is here and is not, nor was the last time that it was asked."""
        in_hand = self.keys()
        missing = {one for one in held if (one.run_id, one.step_slug, one.task_index) not in in_hand}
        lost = missing & self._missing
        self._missing = missing - lost
        for record in lost:
            self.release(record)
        if lost:
            logger.warning("Tasks given back that this worker never got, or had already ended count=%d", len(lost))
            self._wake()

    def release_waiting(self) -> None:
        """Give back all that has not begun."""
        suspects = [self._suspect] if self._suspect else []
        for task, _ in (*self._waiting, *suspects):
            self.release(task.record)
        self._waiting.clear()
        self._suspect = None
        self._wake()

    @contextlib.contextmanager
    def reporting(self) -> Iterator[list[Finished]]:
        """Give what is to be reported; it stays in hand until the block has ended well."""
        self._reporting, self._finished = self._finished, []
        yield self._reporting
        self._reporting = []
        self._fill()

    async def give_back(self) -> None:
        """End all tasks in such a way that their attempts do not count."""
        self.release_waiting()
        for running in self._running.values():
            running.returning = True
            running.executor.cancel(running.task)
        deadline = self._loop.time() + CLEAN_UP
        while self._loop.time() < deadline and any(r.task.step.is_async for r in self._running.values()):
            await asyncio.sleep(0.01)
        for running in list(self._running.values()):
            running.executor.abandon(running.task)
            self._finish(running.task, running.task.released())
        self._wake()

    def close(self) -> None:
        """Let what is idle end."""
        self._executors.close()

    # -- begin

    @property
    def _is_isolating(self) -> bool:
        """Whether a task is executed alone, or is about to be."""
        return self._suspect is not None or self._alone is not None

    def _fill(self) -> None:
        """Begin what there is a slot for."""
        while self._waiting and not self._is_isolating and len(self._running) < self._concurrency:
            self._begin(self._waiting.popleft()[0])
        # If it kills this worker, the database must not count any other task among those that were in its hands.
        if self._suspect is not None and not self.unreported:
            task, since = self._suspect
            if not self._running or self._loop.time() - since > SUSPECT_PATIENCE:
                self._suspect, self._alone = None, task
                self._begin(task)

    def _begin(self, task: Task) -> None:
        executor = self._executors.of(task.step)
        self._running[task] = Running(task=task, executor=executor)
        task.begin()
        self._begun(task)
        executor.start(task)

    # -- the clock

    def _tick_later(self) -> None:
        if not self._ticking:
            self._ticking = True
            self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        """Do what is due: end what takes too long, give back what waits too long."""
        self._ticking = False
        self._receive()
        now = self._loop.time()
        for running in list(self._running.values()):
            if running.task.control.seconds_left() <= 0:
                self._time_out(running, now)
        while self._waiting and now - self._waiting[0][1] > PATIENCE:
            self.release(self._waiting.popleft()[0].record)
        self._fill()
        if self._finished:
            self._wake()
        if self._running or self._waiting or self._suspect:
            self._tick_later()

    def _time_out(self, running: Running, now: float) -> None:
        task = running.task
        if task.step.is_async and running.give_up_at is None:
            # A coroutine can be told; it is given up only if it does not heed that.
            running.give_up_at = now + CLEAN_UP
            running.executor.cancel(task)
        if running.give_up_at is not None and now < running.give_up_at:
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

    # -- end

    def _deliver(self, task: Task, outcome: Outcome) -> None:
        """Take an outcome from an executor, in any thread; however many come at once, the loop is woken once."""
        self._inbox.append((task, outcome))
        if not self._inbox_called:
            self._inbox_called = True
            # Waking the loop from another thread takes two system calls.
            on_loop = threading.get_ident() == self._thread_id
            with contextlib.suppress(RuntimeError):  # the loop is closed: the task was given back
                (self._loop.call_soon if on_loop else self._loop.call_soon_threadsafe)(self._receive)

    def _receive(self) -> None:
        """Take over what the executors delivered, and begin others in its place."""
        self._inbox_called = False
        if self._inbox:
            while self._inbox:
                task, outcome = self._inbox.popleft()
                self._pace.ended(outcome.seconds)
                self._finish(task, outcome)
            self._fill()
            self._wake()

    def _finish(self, task: Task, outcome: Outcome) -> None:
        running = self._running.pop(task, None)
        if running is None:
            return  # given up meanwhile
        if self._alone is task:
            self._alone = None
        if isinstance(outcome.exception, asyncio.CancelledError):
            if running.returning:
                outcome = task.released()
            elif running.give_up_at is not None:
                outcome = task.timed_out()
        report = None if outcome.is_settled else task.report(outcome)
        self._finished.append(Finished(key=task.key, report=report, task=task, outcome=outcome))
