"""When to look at the queues: at once after a notification, else at growing intervals, each flow for itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping

CHANNEL = "pgflow_queued"
"""Channel on which the database says, at commit, that tasks were queued; the payload is the flow's slug."""

SHORTEST = 0.02


class Wakeup:
    """A clock that is set by what each look at a queue brought.

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
        self._not_before = 0.0
        self._called = False

    def call(self) -> None:
        """Make the next look due now: there is, or may be, work."""
        self._called = True
        self._due_at = self._clock()
        self._pause = 0.0

    def leave(self, seconds: float) -> None:
        """Look not at all for so long, whoever calls."""
        self._not_before = self._clock() + seconds

    @property
    def is_nearly_due(self) -> bool:
        """Whether it makes little difference to look now: so that an idle worker looks at its flows together."""
        return self.seconds_left() <= self._pause / 10

    @property
    def is_left_alone(self) -> bool:
        """Whether it is too early to look, whoever calls."""
        return self._not_before > self._clock()

    def looking(self) -> None:
        """Note that a look begins."""
        self._called = False

    def looked(self, *, found: bool, more: bool) -> None:
        """Note what a look brought.

        Args:
            found: Whether it brought tasks.
            more: Whether there may be others, since no more were asked for.
        """
        if self._called:
            return
        if more:
            self._pause = 0.0
        elif found:
            self._pause = min(SHORTEST, self._longest)
        else:
            self._pause = min(max(self._pause * 2, SHORTEST), self._longest)
        self._due_at = self._clock() + self._pause

    def seconds_left(self) -> float:
        """Return how long to wait before the next look; 0 if it is due."""
        return max(0.0, max(self._due_at, self._not_before) - self._clock())


class Wakeups:
    """The clocks of all flows of a worker.

    Args:
        flow_slugs: The flows.
        longest: Seconds between two looks at one of them, at most.
        clock: Gives seconds that only grow.
    """

    def __init__(
        self, flow_slugs: Iterable[str], *, longest: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._flows = {slug: Wakeup(longest=longest, clock=clock) for slug in flow_slugs}

    def call(self, flow_slug: str | None = None) -> None:
        """Make the next look at a flow, or at all, due now."""
        for slug in self._flows if flow_slug is None else (flow_slug,):
            self._flows[slug].call()

    def leave(self, flow_slug: str, seconds: float) -> None:
        """Look not at all at a flow for so long."""
        self._flows[flow_slug].leave(seconds)

    def looking(self, also: Collection[str]) -> list[str]:
        """Return the flows to look at now.

        Args:
            also: Flows that may just have got work.
        """
        flow_slugs = []
        for slug, wakeup in self._flows.items():
            if wakeup.is_nearly_due or (slug in also and not wakeup.is_left_alone):
                wakeup.looking()
                flow_slugs.append(slug)
        return flow_slugs

    def looked(self, flow_slugs: Collection[str], *, found: Mapping[str, int], capacity: int) -> None:
        """Note what a look brought.

        Args:
            flow_slugs: The flows that were looked at.
            found: How many tasks of each were claimed.
            capacity: How many could have been, of all together.
        """
        is_full = sum(found.values()) >= capacity
        for slug in flow_slugs:
            # Each has a share, so with full hands those that brought nothing are empty, if there was a share for all.
            more = is_full and (slug in found or len(flow_slugs) > capacity)
            self._flows[slug].looked(found=slug in found, more=more)

    def seconds_left(self) -> float:
        """Return how long to wait before the next look at any flow; 0 if one is due."""
        return min(wakeup.seconds_left() for wakeup in self._flows.values())
