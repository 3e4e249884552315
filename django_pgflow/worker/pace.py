"""How many tasks to claim ahead of free slots: as many as will be begun before the next exchange brings others."""

from __future__ import annotations

HORIZON = 0.05
"""Seconds of work to have in hand."""
MOST = 500
"""Tasks to claim ahead at most."""
MEMORY = 16
"""Tasks after which the time that one took is as good as forgotten."""


class Pace:
    """The time that tasks take, and what follows from it.

    Slow handlers leave nothing to be claimed ahead: their tasks are better off with a worker that has a free slot.

    Args:
        slots: Tasks that are executed at a time.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._seconds: float | None = None

    def ended(self, seconds: float) -> None:
        """Note how long a task took."""
        if self._seconds is None:
            self._seconds = seconds
        else:
            self._seconds += (seconds - self._seconds) / MEMORY

    def ahead(self) -> int:
        """Return how many tasks to have in hand beyond those that are being executed."""
        if self._seconds is None:
            return 0
        return int(min(MOST, self._slots * HORIZON / max(self._seconds, 1e-6)))
