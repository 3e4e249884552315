"""What a worker is told: by the command line, else by ``PGFLOW["WORKER"]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from django_pgflow import conf


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Options of a worker, whether it is one process or several.

    Attributes:
        using: Alias of the database that holds flows and queues.
        concurrency: Tasks that are executed at a time.
        poll_interval: Seconds between two looks at the queues while nothing happens, at most.
        heartbeat_interval: Seconds between two signs of life.
        grace: Seconds that running tasks get to end after the first signal.
        sweep_interval: Seconds between two searches for stalled tasks.
        listen: Whether to LISTEN for new work.
        until_idle: Whether to end once no run of the served flows has a task left that is queued or running.
        flow_concurrency: Tasks in hand at a time, at most, of some flows, by slug; in place of what the flows say.
        processes: How many processes; each has its own ``concurrency``.
        max_tasks: Tasks after which a process ends; 0 for any number.
        max_memory: Resident memory in MB above which a process ends; 0 for any.
    """

    using: str
    concurrency: int
    poll_interval: float
    heartbeat_interval: float
    grace: float
    sweep_interval: float
    listen: bool
    until_idle: bool = False
    flow_concurrency: Mapping[str, int] = field(default_factory=dict)
    processes: int = 1
    max_tasks: int = 0
    max_memory: int = 0

    def __post_init__(self) -> None:
        for name, least in [("concurrency", 1), ("grace", 0), ("processes", 1), ("max_tasks", 0), ("max_memory", 0)]:
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)!r}.")
        for name in ("poll_interval", "heartbeat_interval", "sweep_interval"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0 seconds, not {getattr(self, name)!r}.")

        for slug, count in self.flow_concurrency.items():
            if count < 1:
                raise ValueError(f"flow_concurrency of {slug!r} must be at least 1, not {count!r}.")

    @property
    def supervised(self) -> bool:
        """Whether a supervisor is wanted, which starts the processes that work."""
        return self.processes > 1 or bool(self.max_tasks or self.max_memory)

    @classmethod
    def from_settings(cls, **given: Any) -> Self:
        """Fill from ``PGFLOW`` what is not given; None means not given.

        Raises:
            ValueError: A value makes no sense; the text says which.
        """
        settings = conf.get()
        values: dict[str, Any] = {
            "using": settings.DATABASE,
            "concurrency": settings.WORKER.concurrency,
            "poll_interval": settings.WORKER.poll_interval,
            "heartbeat_interval": settings.WORKER.heartbeat_interval,
            "grace": settings.WORKER.grace,
            "sweep_interval": settings.WORKER.sweep_interval,
            "listen": settings.WORKER.listen,
            "flow_concurrency": settings.WORKER.flow_concurrency,
            "processes": settings.WORKER.processes,
            "max_tasks": settings.WORKER.max_tasks,
            "max_memory": settings.WORKER.max_memory,
        }
        values.update({name: value for name, value in given.items() if value is not None})
        return cls(**values)
