"""How much one worker process does before another takes its place: handlers leak, and so do the libraries they use."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

STATM = Path("/proc/self/statm")
CHECK_INTERVAL = 1.0
"""Seconds between two looks at the memory, at least."""


class Limits:
    """Counts tasks and watches the memory.

    Args:
        max_tasks: Tasks that the process may execute; 0 for any number.
        max_memory: Resident memory in MB that it may have; 0 for any.
    """

    def __init__(self, *, max_tasks: int = 0, max_memory: int = 0) -> None:
        self._max_tasks = max_tasks
        self._max_memory = max_memory
        self._executed = 0
        self._check_at = 0.0
        self.reached = ""
        """The option whose limit was reached first; empty until then."""

    def count(self, tasks: int) -> str:
        """Count executed tasks, and return ``reached``.

        Memory is looked at only after the first task: a process that could never begin would be replaced for ever.
        """
        self._executed += tasks
        if not self.reached and self._executed:
            if self._max_tasks and self._executed >= self._max_tasks:
                self.reached = "max_tasks"
            elif self._max_memory and self._is_too_big():
                self.reached = "max_memory"
        return self.reached

    def room(self, wanted: int, in_hand: int) -> int:
        """Return how many of the tasks that the process wants it may take, beyond those that it has."""
        return max(0, min(wanted, self._max_tasks - self._executed - in_hand)) if self._max_tasks else wanted

    def _is_too_big(self) -> bool:
        now = time.monotonic()
        if now < self._check_at:
            return False
        self._check_at = now + CHECK_INTERVAL
        return resident_memory() > self._max_memory


def resident_memory() -> float:
    """Return the resident memory of this process in MB; where only its peak is known (macOS, BSD), the peak.

    Raises:
        OSError: This platform does not say.
    """
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    try:
        import resource
    except ImportError:
        raise OSError(f"The memory of a process cannot be watched on {sys.platform}.") from None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
