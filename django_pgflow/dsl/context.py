"""What a handler can know about the task that it executes, and ask of the worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from asgiref.sync import sync_to_async

from django_pgflow import exceptions
from django_pgflow.dsl.control import Control, Flag

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter

current: ContextVar[Callable[[], Context] | None] = ContextVar("pgflow_context", default=None)
"""Gives the context of the task that this thread or coroutine executes."""


def get_context() -> Context | None:
    """Return the context of the task in hand; None outside of handlers.

    For logging filters and helpers deep below. A handler asks for it by a parameter ``ctx``.
    """
    give = current.get()
    return give() if give is not None else None


class TaskLogger(_Adapter):
    """A logger whose lines end with the task that wrote them, and carry it in ``extra``."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the task to message and extra; what the caller put into ``extra`` stays."""
        fields = self.extra or {}
        kwargs["extra"] = {**fields, **(kwargs.get("extra") or {})}
        # The values are ids, slugs and numbers: no per cent sign that could spoil the caller's arguments.
        return f"{msg} " + " ".join(f"{key}={value}" for key, value in fields.items()), kwargs


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """A worker: its id in the database, and where it runs, ``host:pid``."""

    id: UUID
    name: str

    @property
    def host(self) -> str:
        """The machine's name."""
        return self.name.rpartition(":")[0]

    @property
    def pid(self) -> int:
        """The process's number there."""
        return int(self.name.rpartition(":")[2])


@dataclass(frozen=True, kw_only=True)
class Message:
    """A task's message in the queue, which bears the name of the flow."""

    queue: str
    msg_id: int


@dataclass(frozen=True, kw_only=True)
class Context:
    """The task in hand. A handler that has a parameter ``ctx`` gets it.

    What asks the database (``flow_input``, ``run``, ``meta``, ``start``) does so on Django's connection; an
    ``async def`` handler calls the twins that begin with ``a``.

    Attributes:
        run_id: The run.
        flow_slug: Its flow.
        step_slug: The step.
        task_index: The place of the element in a map's array; 0 for other steps.
        attempt: Which try this is, counted from 1.
        max_attempts: Tries in all.
        timeout: Seconds that the step gives an attempt.
        worker: Who executes it: ``id`` and ``name``.
        message: The task's message: ``queue`` and ``msg_id``.
    """

    run_id: UUID
    flow_slug: str
    step_slug: str
    task_index: int
    attempt: int
    max_attempts: int
    timeout: int
    worker: WorkerInfo
    message: Message
    _control: Control = field(default_factory=Control, repr=False, compare=False)

    @property
    def is_last_attempt(self) -> bool:
        """Whether no further attempt follows a failure of this one."""
        return self.attempt >= self.max_attempts

    @property
    def idempotency_key(self) -> str:
        """``run:step:index``: the same on all attempts of a task, and on no other task's."""
        return f"{self.run_id}:{self.step_slug}:{self.task_index}"

    @property
    def log(self) -> TaskLogger:
        """A logger named ``django_pgflow.handlers.<flow>`` that adds run, step, index and attempt to each line."""
        fields = {
            "run": str(self.run_id),
            "step": self.step_slug,
            "index": self.task_index,
            "attempt": self.attempt,
        }
        return TaskLogger(logging.getLogger(f"django_pgflow.handlers.{self.flow_slug}"), fields)

    # -- time

    @property
    def deadline(self) -> datetime:
        """When the time of this attempt is over."""
        return self._control.deadline

    def time_left(self) -> float:
        """Return the seconds to the deadline; negative after it."""
        return self._control.seconds_left()

    def extend(self, seconds: float) -> None:
        """Let this attempt last at least so many seconds from now. The deadline never moves back.

        Raises:
            NotSupported: The core in the database would take the task away nevertheless.
            RuntimeError: The handler runs in a process that the worker watches from outside.
        """
        self._control.extend(seconds)

    # -- interruptions

    @property
    def shutdown(self) -> Flag:
        """Whether the worker was told to stop: ``is_set()``, ``wait(timeout)``, ``await wait_async()``."""
        return self._control.shutdown

    @property
    def cancelled(self) -> Flag:
        """Whether the run was cancelled, or the task is another worker's by now, so that no result of it will count.

        Known within a second or two; of tasks that take less than a second, not at all. As ``shutdown``, to be waited
        for.
        """
        return self._control.cancelled

    def check(self) -> None:
        """Do nothing, or raise what ends the handler if it should not go on. For loops.

        Raises:
            TaskCancelled: The result would not count. Nothing is reported.
            ShuttingDown: The worker was told to stop. The task is given back, the attempt not counted.
            TimeoutError: The deadline is over. The attempt has failed.
        """
        if self.cancelled.is_set():
            raise exceptions.TaskCancelled
        if self.shutdown.is_set():
            raise exceptions.ShuttingDown
        if self.time_left() < 0:
            raise TimeoutError(f"timed out at {self.deadline}")

    # -- what is shown

    def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Tell how far the task is, as often as you like: the latest is written about once a second.

        Args:
            done: What is done, in any unit.
            total: What there is to do.
            text: For people.
        """
        self._control.progress(done, total, text)

    # -- the run

    @property
    def flow_input(self) -> Any:
        """The input of the run. A query on first use, unless the task brought it."""
        return self._control.flow_input()

    async def aflow_input(self) -> Any:
        """Do as ``flow_input`` does, from a coroutine."""
        return await sync_to_async(self._control.flow_input, thread_sensitive=True)()

    @property
    def run(self) -> Any:
        """The run, a ``django_pgflow.models.Run``. A query on first use."""
        return self._control.run()

    async def arun(self) -> Any:
        """Do as ``run`` does, from a coroutine."""
        return await sync_to_async(self._control.run, thread_sensitive=True)()

    @property
    def meta(self) -> dict[str, Any]:
        """What was noted when the run was started, ``flow.using(meta=...)``; else ``{}``. A query on first use."""
        return self._control.meta()

    async def ameta(self) -> dict[str, Any]:
        """Do as ``meta`` does, from a coroutine."""
        return await sync_to_async(self._control.meta, thread_sensitive=True)()

    def start(self, flow: Any, /, *args: Any, key: str = "", **kwargs: Any) -> Any:
        """Start a run of another flow, a child of this one, once: a retry of this task gets the run that exists.

        Args:
            flow: A ``Flow``.
            key: Tells apart several children of one task.
            args, kwargs: The input, as ``Flow.start`` takes it; an input with the key ``key`` is given as one dict.

        Returns:
            The ``Run``; ``created`` is False if an earlier attempt started it.
        """
        return self._control.start(flow, key, args, kwargs)

    async def astart(self, flow: Any, /, *args: Any, key: str = "", **kwargs: Any) -> Any:
        """Do as ``start`` does, from a coroutine."""
        return await sync_to_async(self._control.start, thread_sensitive=True)(flow, key, args, kwargs)
