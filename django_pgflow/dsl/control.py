"""What stands behind a handler's context: its way back to the worker."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.utils import timezone

_lock = threading.Lock()
"""Guards who waits for which flag. Held for a moment only, and by few."""


class Flag:
    """Something that may come to be true, once; threads and coroutines can wait for it."""

    __slots__ = ("_event", "_futures", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._event: threading.Event | None = None
        self._futures: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        """Return whether it is true."""
        return self._is_set

    def set(self) -> None:
        """Make it true, from any thread, and wake all who wait."""
        with _lock:
            self._is_set = True
            event, futures, self._futures = self._event, self._futures, []
        if event is not None:
            event.set()
        for future in futures:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                future.get_loop().call_soon_threadsafe(_resolve, future)

    def wait(self, timeout: float | None = None) -> bool:
        """Block this thread until it is true, at most so many seconds. Returns whether it is."""
        with _lock:
            if self._is_set:
                return True
            event = self._event = self._event or threading.Event()
        return event.wait(timeout)

    async def wait_async(self) -> None:
        """Wait until it is true."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with _lock:
            if self._is_set:
                return
            self._futures.append(future)
        try:
            await future
        finally:
            with _lock:
                if future in self._futures:
                    self._futures.remove(future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Control:
    """The way from one task to the worker; this one is of a task without a worker, as in a test of a handler.

    Args:
        seconds: That the attempt may take from now on.
        shutdown: Shared by all tasks of a worker.

    Attributes:
        ends: When the attempt's time is over, by ``time.monotonic``.
        shutdown: Whether the worker was told to stop.
        cancelled: Whether the task is no longer the worker's.
    """

    __slots__ = ("_deadline", "cancelled", "ends", "shutdown")

    def __init__(self, seconds: float = 3600.0, *, shutdown: Flag | None = None) -> None:
        self.shutdown = shutdown or Flag()
        self.cancelled = Flag()
        self.begin(seconds)

    def begin(self, seconds: float) -> None:
        """Let the attempt's time begin now."""
        self.ends = time.monotonic() + seconds
        self._deadline: datetime | None = None

    @property
    def deadline(self) -> datetime:
        """When the attempt's time is over."""
        if self._deadline is None:
            self._deadline = timezone.now() + timedelta(seconds=self.seconds_left())
        return self._deadline

    def seconds_left(self) -> float:
        """Return the seconds to the deadline; negative after it."""
        return self.ends - time.monotonic()

    def extend(self, seconds: float) -> None:
        """Let the attempt last at least so many seconds from now."""
        if time.monotonic() + seconds > self.ends:
            self.begin(seconds)

    def progress(self, done: float, total: float | None, text: str) -> None:
        """Tell how far the task is."""

    def flow_input(self) -> Any:
        """Return the input of the run."""
        self._need_worker("flow_input")

    def run(self) -> Any:
        """Return the row of the run."""
        self._need_worker("run")

    def meta(self) -> dict[str, Any]:
        """Return what was noted when the run was started."""
        self._need_worker("meta")

    def start(self, flow: Any, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Start a child run, or return the one that an earlier attempt started."""
        self._need_worker("start()")

    def _need_worker(self, what: str) -> NoReturn:
        raise RuntimeError(f"ctx.{what} needs a worker; this context was made without one.")
