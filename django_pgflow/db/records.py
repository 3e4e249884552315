"""Rows as frozen dataclasses, read by column name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class TaskRecord:
    """A task that this worker has just claimed, as ``django_pgflow.exchange`` returns it.

    Attributes:
        input: For a map step the element alone; else ``{"run": <flow input>, "<dep>": <output>, ...}``.
        attempt: Which try this is, counted from 1; the fence of the report.
        max_attempts: Tries in all.
        timeout: Seconds that the handler may take.
    """

    flow_slug: str
    run_id: UUID
    step_slug: str
    task_index: int
    input: Any
    msg_id: int
    attempt: int
    max_attempts: int
    timeout: int

    @classmethod
    def read(cls, row: dict[str, Any]) -> TaskRecord:
        """Make a record of a row; columns that it does not know are passed over."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """What a worker has to say of a task that it claimed.

    Attributes:
        outcome: ``"completed"``, ``"failed"`` (the database decides whether to retry) or ``"released"``
            (given back: queued again at once, the attempt not counted).
        output: JSON text for ``completed``; ``"null"`` is JSON null.
        error_message: Text for ``failed``.
    """

    run_id: UUID
    step_slug: str
    task_index: int
    attempt: int
    outcome: str
    output: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """The answer to one exchange.

    Attributes:
        tasks: What was claimed.
        refused: The reports that did not count, as (run_id, step_slug, task_index): another attempt or worker
            has the task, or its run has ended.
    """

    tasks: list[TaskRecord]
    refused: list[tuple[UUID, str, int]]
