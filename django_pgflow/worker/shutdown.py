"""How a worker is told to end: by signals, by an operator, by having nothing left to do."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """A wish to end, which may become urgent.

    Attributes:
        requested: Set: claim no more, let running tasks end.
        urgent: Set: give everything back at once.
        grace: Seconds that running tasks get; None for as long as they take.
    """

    def __init__(self, grace: float) -> None:
        self.requested = asyncio.Event()
        self.urgent = asyncio.Event()
        self.grace: float | None = grace
        self._signalled = False

    def install(self) -> None:
        """Handle signals; in a thread, where Python delivers none, do nothing. Call it on the running loop."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self.receive, number)

    def uninstall(self) -> None:
        """Handle signals no more."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                asyncio.get_running_loop().remove_signal_handler(number)

    def receive(self, number: int) -> None:
        """Take a signal: the first is a request, the second is urgent.

        One that comes after a request of another kind (by the supervisor, by a limit) is the first, unless running
        tasks got all the time in the world.
        """
        name = signal.Signals(number).name
        is_second, self._signalled = self._signalled, True
        if is_second or (self.requested.is_set() and self.grace is None):
            logger.warning("Worker told to stop at once by=%s", name)
            self.urgent.set()
        else:
            self.request(name)

    def request(self, reason: str, *, grace: float | None = -1.0) -> None:
        """Ask the worker to end.

        Args:
            reason: For the log.
            grace: Seconds for running tasks, None for no limit; if left out, as the options say.
        """
        if not self.requested.is_set():
            if grace is None or grace >= 0:
                self.grace = grace
            logger.info("Worker told to stop by=%s", reason)
            self.requested.set()
