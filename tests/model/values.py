"""What the model is made of: flows, what a worker reports, and the state of runs, steps and tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

ABSENT = "(absent)"
"""SQL NULL, where ``None`` is JSON null."""
TaskKey = tuple[UUID, str, int]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A node of a flow. Options that are None are the flow's."""

    slug: str
    is_map: bool = False
    deps: tuple[str, ...] = ()
    max_attempts: int | None = None
    base_delay: int | None = None
    timeout: int | None = None
    start_delay: int | None = None
    required: Any = None
    forbidden: Any = None
    when_unmet: str = "skip"
    when_exhausted: str = "fail"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Steps, parents first."""

    slug: str
    steps: tuple[Step, ...]
    max_attempts: int = 3
    base_delay: int = 0
    timeout: int = 60

    def option(self, step: Step, name: str) -> Any:
        """Return an option of a step, or else of the flow."""
        value = getattr(step, name)
        return getattr(self, name) if value is None else value

    def children(self, slug: str) -> list[Step]:
        """Return the steps that depend on a step directly."""
        return [step for step in self.steps if slug in step.deps]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a worker says of a task; without an attempt it is not held against the current one."""

    run_id: UUID
    step_slug: str
    task_index: int
    attempt: int | None = None
    outcome: str = "completed"
    output: Any = ABSENT
    error: str | None = None
    delay: int | None = None

    @property
    def key(self) -> TaskKey:
        """The task."""
        return self.run_id, self.step_slug, self.task_index


@dataclass(kw_only=True)
class Task:
    """A unit of work. ``age`` is in seconds since its start; ``message_id`` is what the queue called its message."""

    key: TaskKey
    element: Any = ABSENT
    status: str = "queued"
    attempts: int = 0
    forgiven: int = 0
    requeued: int = 0
    worker: UUID | None = None
    output: Any = ABSENT
    error: str | None = None
    visible: bool = True
    age: float = 0
    message_id: int | None = None

    @property
    def is_live(self) -> bool:
        """Whether it is yet to be done, and so has its message in the queue."""
        return self.status in {"queued", "started"}


@dataclass(kw_only=True)
class State:
    """A step in a run."""

    step: Step
    status: str = "created"
    output: Any = ABSENT
    error: str | None = None
    reason: str | None = None
    tasks: list[Task] = field(default_factory=list)

    @property
    def is_interrupted(self) -> bool:
        """Whether it was started when its run came to a bad end."""
        return self.status == "skipped" and self.reason in {"run_failed", "run_cancelled"}

    @property
    def is_done(self) -> bool:
        """Whether nothing waits for it any more."""
        return self.status in {"completed", "skipped"} and not self.is_interrupted

    def close(self, status: str) -> None:
        """End the live tasks."""
        for task in self.tasks:
            task.status = status if task.is_live else task.status


def contains(value: Any, pattern: Any) -> bool:
    """Tell whether JSON contains JSON, as ``@>`` has it for patterns that are objects at the top."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(k in value and contains(value[k], p) for k, p in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(contains(v, p) for v in value) for p in pattern)
    return type(value) is type(pattern) and bool(value == pattern)


def json_type(value: Any) -> str:
    """Name the type of JSON; what is absent counts as null."""
    names = {type(None): "null", bool: "boolean", int: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is ABSENT else names[type(value)]


def or_null(output: Any) -> Any:
    """Return JSON null for what is absent."""
    return None if output is ABSENT else output
