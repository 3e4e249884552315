"""How many tasks to claim ahead of free slots: as many as will be begun before the next exchange brings others."""

from __future__ import annotations

import time
from collections.abc import Callable

HORIZON = 0.05
"""Seconds of work to have in hand."""
MOST = 500
"""Tasks to claim ahead at most."""
MEMORY = 16
"""Tasks after which the time that one took is as good as forgotten."""
STILLNESS = 0.2
"""Seconds in which no task has ended, after which nothing is claimed ahead: those that are running may be slow ones."""


class Pace:
    """The time that tasks take, and what follows from it.

    Slow handlers leave nothing to be claimed ahead: their tasks are better off with a worker that has a free slot.

    Args:
        slots: Tasks that are executed at a time.
        clock: Gives seconds that only grow.
    """

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = slots
        self._clock = clock
        self._seconds = 0.0
        self._ended_at: float | None = None

    def ended(self, seconds: float) -> None:
        """Note how long a task took."""
        if self._ended_at is None:
            self._seconds = seconds
        else:
            self._seconds += (seconds - self._seconds) / MEMORY
        self._ended_at = self._clock()

    def ahead(self) -> int:
        """Return how many tasks to have in hand beyond those that are being executed."""
        if self._ended_at is None or self._clock() - self._ended_at > STILLNESS:
            return 0
        return int(min(MOST, self._slots * HORIZON / max(self._seconds, 1e-6)))
