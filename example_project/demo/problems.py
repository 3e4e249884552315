"""How the demo ends before its time."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Problem(Exception):
    """Something that a person has to put right; the text says what, and is all that is shown."""


class Stopped(BaseException):
    """Somebody asked the demo to stop."""


class Stop:
    """Turns the first signal into ``Stopped`` in the main thread; later ones change nothing: stopping has begun.

    Attributes:
        received: The number of that signal; 0 while there was none.
    """

    def __init__(self) -> None:
        self.received = 0
        self._deferred = False

    def install(self) -> None:
        """Take over the signals that ask a process to end."""
        for number in SIGNALS:
            signal.signal(number, self._receive)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the block end before a signal takes effect: for what must not be left half done."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self.received:
            raise Stopped

    def _receive(self, number: int, frame: FrameType | None) -> None:
        first = not self.received
        self.received = self.received or number
        if first and not self._deferred:
            raise Stopped
