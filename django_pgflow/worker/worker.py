"""The loop: wake, exchange, hand over; start and stop in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django_pgflow import exceptions, signals
from django_pgflow.db import core
from django_pgflow.db.records import ExchangeRecord
from django_pgflow.dsl.context import WorkerInfo
from django_pgflow.worker import announce, logs, pooler, portable, session
from django_pgflow.worker.caps import Caps
from django_pgflow.worker.control import Controls
from django_pgflow.worker.exchange import Source
from django_pgflow.worker.lifecycle import Lifecycle, name
from django_pgflow.worker.limits import Limits
from django_pgflow.worker.liveness import WorkerLock
from django_pgflow.worker.options import WorkerOptions
from django_pgflow.worker.shutdown import Shutdown
from django_pgflow.worker.slots import Finished, Slots
from django_pgflow.worker.task import Task
from django_pgflow.worker.wakeup import Wakeups

if TYPE_CHECKING:
    from django_pgflow.dsl.definition import FlowDefinition

logger = logging.getLogger(__name__)

LAST_WORDS = 10.0
"""Seconds that the last reports get to reach the database."""
UNKNOWN_STEP_PAUSE = 5.0
"""Seconds in which a flow is left alone after it gave us a task of a step that our code does not have."""
FLOW_INPUTS = 32
"""Inputs of runs that are kept for the map steps that ask for them."""


class Worker:
    """One process that executes tasks of the flows it is given; they must be in the database.

    Making one asks the database which core it has, on Django's connection of this thread, unless that is known.

    Args:
        flows: By slug.
        options: See there.
    """

    def __init__(self, flows: Mapping[str, FlowDefinition], options: WorkerOptions) -> None:
        self.id = uuid.uuid4()
        self.has_leftovers = False
        """Whether handlers that nobody waits for were still running when ``run`` returned."""
        self.limits = Limits(max_tasks=options.max_tasks, max_memory=options.max_memory)
        self._flows = flows
        self._core = core.for_alias(options.using)
        self._options = replace(options, listen=options.listen and portable.notifies(self._core))
        self._caps = Caps(flows, options.flow_concurrency)
        self._accepting = True
        self._lifecycle: Lifecycle | None = None
        self._flow_inputs: OrderedDict[UUID, Any] = OrderedDict()
        self._shutdown = Shutdown(options.grace)
        self._loop = asyncio.new_event_loop()

    def run(self) -> int:
        """Work until told to stop.

        Returns:
            The exit code: 0 if the database was told of every task, 1 if it could not be.
        """
        logs.connect()
        try:
            return self._loop.run_until_complete(self._main())
        finally:
            # Not asyncio.run, which waits for all that is left: a handler that will not end must not keep the process.
            self._loop.close()

    def stop(self, reason: str = "stop()", *, grace: float | None = None) -> None:
        """Ask the worker to end, from any thread.

        Args:
            reason: For the log.
            grace: Seconds that running tasks get; None as the options say.
        """
        grace = self._options.grace if grace is None else grace
        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(lambda: self._shutdown.request(reason, grace=grace))

    def stop_at_once(self, reason: str) -> None:
        """Ask the worker, which was told to stop, to give back everything now; from any thread."""
        logger.warning("Worker told to stop at once by=%s", reason)
        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._shutdown.urgent.set)

    # -- start and stop -----------------------------------------------------------------------------------------------

    async def _main(self) -> int:
        self._wake = asyncio.Event()
        self._wakeups = Wakeups(self._flows, longest=self._options.poll_interval)
        self._announcer = announce.Announcer()
        self._controls = Controls(WorkerInfo(id=self.id, name=name()), self._options.using, self._core)
        self._slots = Slots(
            self._options.concurrency,
            wake=self._wake.set,
            begun=lambda task: self._announcer.tell(signals.task_started, task),
        )
        health = session.Health()
        connection, other = (session.Session(self._options.using, name, health) for name in ("exchange", "lifecycle"))
        self._shutdown.install()
        self._announcer.start()
        background: list[asyncio.Task[Any]] = []
        try:
            background.append(stop := asyncio.create_task(self._wait_for(self._shutdown.requested)))
            background.append(start := asyncio.create_task(self._connect(connection, other)))
            await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not start.done():
                return 0  # told to stop before the database was there
            lifecycle = start.result()
            background.append(alive := asyncio.create_task(lifecycle.run()))
            logger.info(
                "Worker started worker=%s name=%s flows=%s concurrency=%d",
                self.id,
                name(),
                ",".join(self._flows),
                self._options.concurrency,
            )
            background.append(serve := asyncio.create_task(self._serve()))
            await asyncio.wait({serve, stop, alive}, return_when=asyncio.FIRST_COMPLETED)
            code = await self._drain(serve)
            if alive.done():
                alive.result()  # a worker that gives no sign of life must not go on as if it did
        finally:
            for one in background:
                one.cancel()
            await asyncio.wait(background)
            if self._lifecycle is not None and (connection.connected or other.connected):
                await self._lifecycle.unregister()
            await connection.close()
            await other.close()
            self._shutdown.uninstall()
            self._slots.close()
            self.has_leftovers = self._slots.leftovers > 0
            self._announcer.close()
        logger.info("Worker stopped worker=%s code=%d", self.id, code)
        return code

    async def _connect(self, connection: session.Session, other: session.Session) -> Lifecycle:
        """Connect, find out what can be done through these connections, and write the worker's row."""
        is_pooled = await pooler.connect(connection, other)
        if is_pooled:
            self._options = replace(self._options, listen=False)
            logger.info(
                "Connected through a transaction pooler: polling every %g s instead of LISTEN, liveness by heartbeat "
                "instead of a lock, statements not prepared",
                self._options.poll_interval,
            )
        self._source: Source = portable.source_for(
            self._core, connection, self.id, self._slots.keys, listening=self._options.listen
        )
        holds_lock = not is_pooled if portable.notifies(self._core) else None
        if holds_lock:
            other.on_connect = WorkerLock(self._core, other, self.id).take
        self._lifecycle = Lifecycle(
            options=self._options,
            core=self._core,
            connection=other,
            worker_id=self.id,
            flow_slugs=list(self._flows),
            holds_lock=holds_lock,
            on_work=self._call,
            on_deprecated=lambda: self._shutdown.request("deprecation", grace=None),
            on_tick=lambda connection: self._controls.tick(connection, self._slots.tasks()),
            on_compare=self._compare,
        )
        await self._lifecycle.register()
        return self._lifecycle

    async def _drain(self, serve: asyncio.Task[None]) -> int:
        """Let running tasks end, give back the others, report all."""
        self._accepting = False
        self._controls.shutdown.set()
        self._slots.release_waiting()
        if self._slots.empty and not self._source.connected:
            serve.cancel()  # the database is gone, and we have nothing to tell it
        if not serve.done():
            logger.info("Worker stopping running=%d grace=%s", self._slots.running, self._shutdown.grace)
        urgent = asyncio.create_task(self._wait_for(self._shutdown.urgent))
        await asyncio.wait({serve, urgent}, timeout=self._shutdown.grace, return_when=asyncio.FIRST_COMPLETED)
        urgent.cancel()
        if not serve.done() and self._slots.running:
            logger.warning("Worker gives back running tasks count=%d", self._slots.running)
            await self._slots.give_back()
        await asyncio.wait({serve}, timeout=LAST_WORDS)
        if serve.done() and not serve.cancelled():
            serve.result()  # a bug in the loop is no way to end
        if count := self._slots.running + self._slots.unreported:
            logger.error("Worker could not report all tasks count=%d; they will be found stalled", count)
            return 1
        return 0

    async def _wait_for(self, event: asyncio.Event) -> None:
        await event.wait()

    # -- the loop -----------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            self._wake.clear()
            capacity = self.limits.room(self._slots.room, self._slots.count) if self._accepting else 0
            if self._slots.to_report or (capacity and not self._wakeups.seconds_left()):
                await self._turn(capacity)
            elif not self._accepting and self._slots.empty:
                return
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._wakeups.seconds_left() if capacity else None):
                        await self._wake.wait()

    async def _turn(self, capacity: int) -> None:
        """Exchange once: results out, new tasks in."""
        with self._slots.reporting() as finished:
            # Reports may have released steps of their flows.
            reported = {one.task.record.flow_slug for one in finished if one.task is not None}
            due_slugs = self._wakeups.looking(reported) if capacity else []
            rooms = self._caps.rooms(self._slots.in_hand, capacity)
            # A flow that is full is looked at again when a task of it has ended.
            flow_slugs = [slug for slug in due_slugs if rooms.flows.get(slug, capacity) > 0]
            reports = [one.report for one in finished if one.report is not None]
            if reports or flow_slugs:
                records = await self._source.exchange(flow_slugs, capacity, reports, rooms)
            else:
                records = []
        claimed = [record for record in records if record.kind == "claimed"]
        refused = {(r.run_id, r.step_slug, r.task_index) for r in records if r.kind == "refused"}
        self._wakeups.looked(due_slugs, found=Counter(record.flow_slug for record in claimed), capacity=capacity)
        for one in finished:
            self._announce(one, refused=bool(refused) and one.key in refused)
        if limit := self.limits.count(sum(one.outcome is not None for one in finished)):
            self._accepting = False  # what this exchange claimed is for another process
            self._shutdown.request(limit)
        for record in self._slots.sift(claimed):
            await self._begin(record)
        if self._options.until_idle and capacity and self._slots.empty and not claimed:
            await self._stop_if_idle()

    async def _begin(self, record: ExchangeRecord) -> None:
        flow = self._flows[record.flow_slug]
        step = flow.steps.get(record.step_slug)
        if step is None:
            self._refuse_unknown_step(record)
            return
        task = Task(record=record, flow=flow, step=step, controls=self._controls)
        if step.wants_flow_input:
            task.flow_input = await self._flow_input(record.run_id)
        if self._accepting:
            self._slots.start(task)
        else:  # told to stop while the exchange was under way
            self._slots.release(record)

    def _announce(self, finished: Finished, *, refused: bool) -> None:
        task, outcome = finished.task, finished.outcome
        if task is None or outcome is None:
            return
        if isinstance(outcome.exception, exceptions.TaskCancelled):
            logs.log_decision(task, outcome)
        elif refused or outcome.kind == "refused":
            fields = task.log_fields()
            logger.warning(
                "Report refused: the task is no longer ours, or its run has ended "
                "flow=%s run=%s step=%s index=%d attempt=%d outcome=%s",
                *fields.values(),
                outcome.kind,
                extra=fields,
            )
        elif outcome.has_completed:
            self._announcer.tell(signals.task_completed, task, seconds=outcome.seconds)
        elif outcome.has_failed:
            self._announcer.tell(
                signals.task_failed,
                task,
                seconds=outcome.seconds,
                error_message=outcome.error_message,
                exception=outcome.exception,
                will_retry=outcome.kind == "failed" and not task.is_last_attempt,
            )
        elif outcome.exception is not None:
            logs.log_decision(task, outcome)

    # -- the rest -----------------------------------------------------------------------------------------------------

    async def _compare(self, connection: session.Session) -> None:
        """Give back what the database thinks that we have, and we have not: an answer was lost, or a commit of ours."""
        if portable.notifies(self._core):
            self._slots.compare(await connection.run(self._core.held_tasks(self.id, list(self._flows))))

    def _call(self, flow_slug: str | None) -> None:
        self._wakeups.call(flow_slug)
        self._wake.set()

    def _refuse_unknown_step(self, record: ExchangeRecord) -> None:
        logger.warning(
            "Task given back: the code of this worker has no such step; is it another version of the flow? "
            "flow=%s run=%s step=%s",
            record.flow_slug,
            record.run_id,
            record.step_slug,
        )
        self._wakeups.leave(record.flow_slug, UNKNOWN_STEP_PAUSE)
        self._slots.release(record)

    async def _flow_input(self, run_id: UUID) -> Any:
        if run_id not in self._flow_inputs:
            self._flow_inputs[run_id] = await self._source.flow_input(run_id)
            if len(self._flow_inputs) > FLOW_INPUTS:
                self._flow_inputs.popitem(last=False)
        self._flow_inputs.move_to_end(run_id)
        return self._flow_inputs[run_id]

    async def _stop_if_idle(self) -> None:
        if not await self._source.has_work(list(self._flows)):
            self._shutdown.request("idleness")
