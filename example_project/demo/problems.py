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

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


class Stop:
    """Turns the first signal into ``Stopped`` in the main thread; later ones change nothing: stopping has begun."""

    def __init__(self) -> None:
        self._received = 0
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
        except Exception:
            # Ctrl-C reaches every process of the terminal, so what failed may have been stopped by it.
            if self._received:
                raise Stopped(self._received) from None
            raise
        finally:
            self._deferred = False
        if self._received:
            raise Stopped(self._received)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        first = not self._received
        self._received = self._received or number
        if first and not self._deferred:
            raise Stopped(number)
