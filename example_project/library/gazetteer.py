"""Three islands of the Palmer Archipelago, and a limit on how often one may ask for them.

The positions are those of K. B. Gorman, T. D. Williams, W. R. Fraser (2014), "Ecological sexual dimorphism and
environmental variability within a community of Antarctic penguins (genus Pygoscelis)", PLoS ONE 9(3): e90081.
"""

from __future__ import annotations

import math
import threading
import time

ISLANDS: dict[str, dict[str, str]] = {
    "Biscoe": {"latitude": "64°48'S", "longitude": "63°46'W"},
    "Dream": {"latitude": "64°43'S", "longitude": "64°14'W"},
    "Torgersen": {"latitude": "64°46'S", "longitude": "64°05'W"},
}


class RateLimit:
    """At most one request in ``seconds``, counted within this process."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._free_at = 0.0
        self._lock = threading.Lock()

    def acquire(self) -> int:
        """Take the turn: return 0; or the whole seconds, 1 or more, to wait before asking again."""
        with self._lock:
            now = time.monotonic()
            if now < self._free_at:
                return max(1, math.ceil(self._free_at - now))
            self._free_at = now + self.seconds
            return 0


limit = RateLimit(seconds=1.0)
