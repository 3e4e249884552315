"""What a handler can know about the task that it executes."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils import timezone

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class TaskLogger(_Adapter):
    """A logger whose lines end with the task that wrote them, and carry it in ``extra``."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the task to message and extra; what the caller put into ``extra`` stays."""
        fields = self.extra or {}
        kwargs["extra"] = {**fields, **(kwargs.get("extra") or {})}
        # The values are ids, slugs and numbers: no per cent sign that could spoil the caller's arguments.
        return f"{msg} " + " ".join(f"{key}={value}" for key, value in fields.items()), kwargs


@dataclass(frozen=True, kw_only=True)
class Context:
    """The task in hand. A handler that has a parameter ``ctx`` gets it.

    Attributes:
        run_id: The run.
        flow_slug: Its flow.
        step_slug: The step.
        task_index: The place of the element in a map's array; 0 for other steps.
        attempt: Which try this is, counted from 1.
        max_attempts: Tries in all.
        timeout: Seconds that this attempt may take.
        deadline: When they are over.
    """

    run_id: UUID
    flow_slug: str
    step_slug: str
    task_index: int
    attempt: int
    max_attempts: int
    timeout: int
    deadline: datetime

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

    def time_left(self) -> float:
        """Return the seconds to the deadline; negative after it."""
        return (self.deadline - timezone.now()).total_seconds()
