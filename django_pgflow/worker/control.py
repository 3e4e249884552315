"""The way from handlers, in whatever thread, to the worker that executes them.

Handlers leave here what they want; once a second the worker carries it out, on a connection of its own, and asks
whether the tasks in its hands are still its own.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import DatabaseError, transaction

from django_pgflow import exceptions
from django_pgflow.db import database
from django_pgflow.db.core.current import Core
from django_pgflow.db.query import Query
from django_pgflow.db.records import ExchangeRecord, ProgressReport
from django_pgflow.dsl.context import WorkerInfo
from django_pgflow.dsl.control import Control, Flag

if TYPE_CHECKING:
    from django_pgflow.worker.session import Session
    from django_pgflow.worker.task import Task

logger = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two ticks; what takes less is not asked for."""
LEASE_MARGIN = 5
"""Seconds that a message stays hidden beyond its task's deadline: what extended it is written within a tick."""
UNKNOWN: Any = object()


class TaskControl(Control):
    """The control of a task in a worker's hands.

    Attributes:
        known_flow_input: The input of the run, if it is at hand.
    """

    __slots__ = ("_controls", "_meta", "_record", "_run", "known_flow_input")

    def __init__(self, controls: Controls, record: ExchangeRecord) -> None:
        super().__init__(record.timeout, shutdown=controls.shutdown)
        self._controls = controls
        self._record = record
        self._run: Any = None
        self._meta: dict[str, Any] | None = None
        self.known_flow_input: Any = UNKNOWN

    @property
    def worker(self) -> WorkerInfo:
        """The worker."""
        return self._controls.worker

    @property
    def using(self) -> str:
        """Alias of the database that has the task."""
        return self._controls.using

    def extend(self, seconds: float) -> None:
        """Let the attempt last at least so many seconds from now."""
        self._controls.extend(self, self._record, seconds)
        super().extend(seconds)

    def progress(self, done: float, total: float | None, text: str) -> None:
        """Tell how far the task is."""
        self._controls.tell(
            self,
            ProgressReport(
                run_id=self._record.run_id,
                step_slug=self._record.step_slug,
                task_index=self._record.task_index,
                attempt=self._record.attempt,
                done=done,
                total=total,
                text=text.replace("\x00", ""),
            ),
        )

    def flow_input(self) -> Any:
        """Return the input of the run, which is remembered."""
        if self.known_flow_input is UNKNOWN:
            db = database.Database(self.using)
            found = db.run(db.core.flow_input(self._record.run_id))
            self.known_flow_input = found[0] if found else None
        return self.known_flow_input

    def run(self) -> Any:
        """Return the row of the run, which is remembered."""
        if self._run is None:
            # By name: the worker gets along without the ORM, only those who ask for this do not.
            runs = apps.get_model("pgflow", "Run").objects.using(self.using)
            self._run = runs.get(pk=self._record.run_id)
        return self._run

    def meta(self) -> dict[str, Any]:
        """Return what was noted when the run was started, which is remembered."""
        if self._meta is None:
            db = database.Database(self.using)
            found = db.run(db.core.run_meta(self._record.run_id))
            self._meta = (found[0] if found else None) or {}
        return self._meta

    def start(self, flow: Any, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Start a child run, or return the one that an earlier attempt started."""
        record = self._record
        parent = (record.run_id, record.step_slug, record.task_index)
        db = database.Database(self.using)
        with transaction.atomic(using=db.alias):
            run = flow.using(key=":".join([*map(str, parent), key])).start(*args, **kwargs)
            if run.created:
                db.run(db.core.link_child(run.run_id, parent))
        return run


class Controls:
    """The controls of one worker's tasks.

    Args:
        worker: The worker.
        using: Alias of its database.
        core: The functions.

    Attributes:
        shutdown: To be set when the worker is told to stop.
    """

    def __init__(self, worker: WorkerInfo, using: str, core: Core) -> None:
        self.worker = worker
        self.using = using
        self.shutdown = Flag()
        self._core = core
        self._lock = threading.Lock()
        self._progress: dict[TaskControl, ProgressReport] = {}
        self._extensions: dict[TaskControl, Query[None]] = {}

    def make(self, record: ExchangeRecord) -> TaskControl:
        """Make the control of a claimed task; its time begins now."""
        return TaskControl(self, record)

    def tell(self, control: TaskControl, report: ProgressReport) -> None:
        """Keep how far a task is until the next tick. Called in any thread."""
        with self._lock:
            self._progress[control] = report

    def extend(self, control: TaskControl, record: ExchangeRecord, seconds: float) -> None:
        """Have a task's message hidden for longer, at the next tick. Called in any thread.

        Raises:
            NotSupported: The core would take the task away nevertheless.
        """
        query = self._core.extend_task(self.worker.id, record, math.ceil(seconds) + LEASE_MARGIN)
        with self._lock:
            self._extensions[control] = query

    def finish(self, control: TaskControl) -> None:
        """Note that the handler of a task has ended, in its thread."""

    async def tick(self, session: Session, tasks: Sequence[Task]) -> None:
        """Carry out what handlers want, and tell those whose task is gone. To be called once a second.

        Args:
            session: Not that of the exchange.
            tasks: Those that are being executed.

        Raises:
            ConnectionLost, psycopg.Error: What was not carried out is tried again by the next tick.
        """
        for control, query in list(self._extensions.items()):
            await session.run(query)
            with self._lock:
                if self._extensions.get(control) is query:
                    del self._extensions[control]
        await self._save_progress(session)
        begun = [task for task in tasks if task.seconds() >= TICK and not task.control.cancelled.is_set()]
        if begun:
            lost = await session.run(self._core.lost_tasks(self.worker.id, [task.record for task in begun]))
            for place in lost:
                begun[place].control.cancelled.set()

    async def _save_progress(self, session: Session) -> None:
        with self._lock:
            reports, self._progress = self._progress, {}
        if not reports:
            return
        try:
            query = self._core.save_progress(self.worker.id, list(reports.values()))
        except exceptions.NotSupported:
            return
        try:
            await session.run(query)
        except BaseException:
            with self._lock:
                self._progress = {**reports, **self._progress}
            raise


class DetachedControls(Controls):
    """The controls of tasks that run where their worker is not: in a process of a pool, or on another machine.

    Progress is written from there. Nobody tells those tasks of a shutdown or a cancellation, and their deadline stands:
    the worker watches them from outside.
    """

    def __init__(self, worker: WorkerInfo, using: str) -> None:
        super().__init__(worker, using, Core())
        self._written_at = -math.inf

    def tell(self, control: TaskControl, report: ProgressReport) -> None:
        """Write how far the task is, on Django's connection, about once a second."""
        super().tell(control, report)
        if time.monotonic() - self._written_at >= TICK:
            self._write(control)

    def finish(self, control: TaskControl) -> None:
        """Write the last word."""
        with contextlib.suppress(DatabaseError):  # the task itself matters more
            self._write(control)

    def _write(self, control: TaskControl) -> None:
        db = database.Database(self.using)
        if control not in self._progress or db.connection.in_atomic_block:
            return  # nobody would see it before the transaction ends
        self._written_at = time.monotonic()
        with contextlib.suppress(exceptions.NotSupported):
            db.run(db.core.save_progress(self.worker.id, [self._progress.pop(control)]))

    def extend(self, control: TaskControl, record: ExchangeRecord, seconds: float) -> None:
        """Refuse."""
        raise RuntimeError(
            "ctx.extend() works in threads and on the event loop only: this handler runs in a process of its own. "
            "Give the step a longer timeout=."
        )
