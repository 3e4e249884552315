"""When to look at the queues again: at once after a notification, else at growing intervals."""

from __future__ import annotations

import time
from collections.abc import Callable

CHANNEL = "pgflow_queued"
"""Channel on which the database says, at commit, that tasks were queued; the payload is the flow's slug."""

SHORTEST = 0.02


class Wakeup:
    """A clock that is set by what each look at the queues brought.

    Notifications that arrive before the next look are one; one that arrives *during* a look is kept, since that look
    may have been too early to see the work.

    Args:
        longest: Seconds between two looks, at most.
        clock: Gives seconds that only grow.
    """

    def __init__(self, *, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._pause = 0.0
        self._due_at = clock()
        self._called = False

    def call(self) -> None:
        """Make the next look due now: there is, or may be, work."""
        self._called = True
        self._due_at = self._clock()
        self._pause = 0.0

    def looking(self) -> None:
        """Note that a look begins."""
        self._called = False

    def looked(self, *, found: int, capacity: int) -> None:
        """Note what a look brought.

        Args:
            found: Tasks that it claimed.
            capacity: Tasks that it would have taken; 0 if it was no look at all.
        """
        if capacity == 0 or self._called:
            return
        if found >= capacity:  # there may be more
            self._pause = 0.0
        elif found:
            self._pause = min(SHORTEST, self._longest)
        else:
            self._pause = min(max(self._pause * 2, SHORTEST), self._longest)
        self._due_at = self._clock() + self._pause

    def seconds_left(self) -> float:
        """Return how long to wait before the next look; 0 if it is due."""
        return max(0.0, self._due_at - self._clock())
