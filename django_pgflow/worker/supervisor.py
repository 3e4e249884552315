"""Several worker processes under one: starts them, replaces those that end, and passes signals on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import Self

from django_pgflow.worker import channel
from django_pgflow.worker.shutdown import Shutdown

logger = logging.getLogger(__name__)

STABLE = 10.0
"""Seconds after which the end of a process that worked is no reason to wait with the next."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a process that ended early is replaced: for the first, and at most; doubled in between."""
FAILED_STARTS = 10
"""Starts in a row that may fail, with no process working meanwhile, once any has ever worked."""
MARGIN = 20.0
"""Seconds beyond ``grace`` that a worker gets to cancel, report and disconnect before it is killed."""


class Process:
    """A worker process, and the supervisor's end of the line to it."""

    def __init__(self, process: asyncio.subprocess.Process, line: socket.socket) -> None:
        self._process = process
        self._line = line
        self._news = b""
        self.pid = process.pid
        self.started_at = time.monotonic()

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        """Start a fresh interpreter: a fork would share connections and threads with its parent.

        It gets a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    env={**os.environ, channel.VARIABLE: str(theirs.fileno())},
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    process_group=0,
                )
            except BaseException:
                ours.close()
                raise
        return cls(process, ours)

    @property
    def has_begun(self) -> bool:
        """Whether it got as far as working."""
        return channel.READY in self._hear()

    @property
    def wants_successor(self) -> bool:
        """Whether it ended, or is about to, because of a limit."""
        return channel.AT_LIMIT in self._hear()

    def order(self, order: bytes) -> None:
        """Give an order; one that has just ended does not hear it."""
        with contextlib.suppress(OSError):
            self._line.send(order)

    def kill(self) -> None:
        """Kill it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def wait(self) -> int:
        """Wait for its end, and return its code: 128 + n for signal n, as in a shell."""
        code = await self._process.wait()
        self._hear()
        self._line.close()
        return code if code >= 0 else 128 - code

    def _hear(self) -> bytes:
        with contextlib.suppress(OSError):  # nothing new, or closed
            self._news += self._line.recv(16)
        return self._news


class Supervisor:
    """Keeps so many worker processes running until it is told to stop, or, with ``until_idle``, until all are idle.

    Args:
        command: Starts one worker process; it finds its line in the environment.
        processes: How many.
        grace: Seconds that the workers give running tasks.
        until_idle: Whether a process that ends in order is done.
    """

    def __init__(self, command: Sequence[str], *, processes: int, grace: float, until_idle: bool = False) -> None:
        self._command = command
        self._size = processes
        self._grace = grace
        self._until_idle = until_idle
        self._running: set[Process] = set()
        self._any_has_begun = False
        self._failed_starts = 0
        self._given_up_with = 0
        self._order = b""

    def run(self) -> int:
        """Supervise.

        Returns:
            0 if the last process in each place ended with 0, else the largest code.
        """
        return asyncio.run(self._main())

    async def _main(self) -> int:
        self._shutdown = Shutdown(self._grace)
        self._shutdown.install()
        stopper = asyncio.create_task(self._stop_when_told())
        try:
            codes = await asyncio.gather(*(self._keep_one() for _ in range(self._size)))
        finally:
            stopper.cancel()
            self._shutdown.uninstall()
        code = max(self._given_up_with, *codes)
        logger.info("Supervisor stopped code=%d", code)
        return code

    async def _keep_one(self) -> int:
        """Keep one place filled; returns the code of the last process in it."""
        early_ends = 0
        while True:
            begun_at = time.monotonic()
            code, has_begun, wants_successor = await self._run_one()
            if has_begun:
                self._any_has_begun = True
                self._failed_starts = 0
            else:
                self._failed_starts += 1
            if self._shutdown.requested.is_set():
                return code if has_begun else 0  # it had nothing in hand
            if code == 0 and self._until_idle and not wants_successor:
                return 0
            if self._is_hopeless():
                self._give_up(code)
                return code
            if wants_successor or (has_begun and time.monotonic() - begun_at >= STABLE):
                early_ends = 0
                continue
            pause = min(SHORTEST_PAUSE * 2**early_ends, LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            early_ends = min(early_ends + 1, 10)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._shutdown.requested.wait(), pause)
                return code if has_begun else 0

    async def _run_one(self) -> tuple[int, bool, bool]:
        """Run one process to its end; returns its code, whether it began to work, and whether it wants a successor."""
        try:
            process = await Process.start(self._command)
        except OSError as error:  # no memory, too many processes
            logger.error("Worker process could not be started: %s", error)
            return 1, False, False
        self._running.add(process)
        logger.info("Worker process started pid=%d", process.pid, extra={"worker_pid": process.pid})
        if self._order:
            process.order(self._order)  # told to stop while it was being started
        code = await process.wait()
        self._running.discard(process)
        _log_end(process, code)
        return code, process.has_begun, process.wants_successor

    def _is_hopeless(self) -> bool:
        """Whether to give up: at first when every place has failed, as a single worker would; later only after many."""
        if any(process.has_begun for process in self._running):
            return False
        return self._failed_starts >= max(self._size, FAILED_STARTS if self._any_has_begun else 1)

    def _give_up(self, code: int) -> None:
        self._given_up_with = max(self._given_up_with, code, 1)
        if not self._shutdown.requested.is_set():
            logger.error(
                "Supervisor gave up: no worker process starts; their own messages say why. tries=%d code=%d",
                self._failed_starts,
                code,
            )
            self._shutdown.request("failing starts")

    async def _stop_when_told(self) -> None:
        await self._shutdown.requested.wait()
        self._order_all(channel.STOP)
        with contextlib.suppress(TimeoutError):  # one that ended already for another reason may know no limit
            await asyncio.wait_for(self._shutdown.urgent.wait(), self._grace + 1)
        self._order_all(channel.STOP_AT_ONCE)
        await asyncio.sleep(MARGIN)
        for process in self._running:
            logger.error("Worker process did not end in time and was killed pid=%d", process.pid)
            process.kill()

    def _order_all(self, order: bytes) -> None:
        self._order = order
        for process in self._running:
            process.order(order)


def _log_end(process: Process, code: int) -> None:
    seconds = time.monotonic() - process.started_at
    how = f"code={code}"
    if code > 128:
        with contextlib.suppress(ValueError):
            how = f"signal={signal.Signals(code - 128).name}"
    logger.log(
        logging.WARNING if code else logging.INFO,
        "Worker process ended pid=%d %s seconds=%.1f",
        process.pid,
        how,
        seconds,
        extra={"worker_pid": process.pid, "code": code, "seconds": seconds},
    )
