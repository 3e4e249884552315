"""How many tasks to claim ahead of free slots: as many as will be begun before the next exchange brings others."""

from __future__ import annotations

import time
from collections.abc import Callable

HORIZON = 0.05
"""Seconds of work to have in hand."""
MOST = 500
"""Tasks to claim ahead at most."""
MEMORY = 0.2
"""Seconds after which what was measured is as good as forgotten."""


class Pace:
    """The rate at which tasks end, and what follows from it.

    Slow handlers leave nothing to be claimed ahead: their tasks are better off with a worker that has a free slot.

    Args:
        clock: Gives seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = 0.0
        self._since = clock()

    def ended(self, count: int) -> None:
        """Note how many tasks have ended since the last call."""
        now = self._clock()
        elapsed = max(now - self._since, 1e-4)
        weight = min(1.0, elapsed / MEMORY)
        self._rate += weight * (count / elapsed - self._rate)
        self._since = now

    def ahead(self) -> int:
        """Return how many tasks to have in hand beyond those that are being executed."""
        if self._clock() - self._since > MEMORY:
            return 0  # nothing has ended lately
        return min(MOST, int(self._rate * HORIZON))
