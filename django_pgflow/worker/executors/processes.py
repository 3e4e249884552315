"""Processes, for handlers that keep a processor busy, and for those that must be stopped in time."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe

from django_pgflow import exceptions
from django_pgflow.worker.executors import remote
from django_pgflow.worker.executors.base import Done
from django_pgflow.worker.executors.threads import CLOSING, Call, ThreadExecutor
from django_pgflow.worker.task import Outcome, Task

STARTING = 60.0
"""Seconds in which a new process must have imported the project."""
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from django_pgflow.worker.executors import child; child.main(*json.loads(sys.argv[2]))"
)
"""What the new interpreter executes. Not ``multiprocessing``: it would import the worker's main module once more, and
what it starts as a daemon may not start processes of its own."""


class ProcessExecutor(ThreadExecutor):
    """Executes tasks in child processes, as many as are busy at the same time; they are kept for further tasks.

    Each has a thread of the worker that attends to it. A task that is abandoned is killed with its process.
    """

    _can_stop = True

    def __init__(self, done: Done) -> None:
        super().__init__(done)
        self._children: dict[Task, Child] = {}

    def abandon(self, task: Task) -> None:
        """Kill the process of a task, or let it get ready for the next task if it has not begun this one."""
        with self._lock:
            if task not in self._busy:
                return
            self._abandoned.add(task)
            if child := self._children.get(task):
                child.kill()
        # Not only when the thread is there: while processes start slowly, there must not be more and more of them.
        self._idle.release()

    def abandoned_count(self) -> int:
        """Return 0: what is killed does not go on."""
        return 0

    @contextlib.contextmanager
    def _place(self) -> Iterator[Call]:
        child = Child()
        try:
            yield functools.partial(self._ask, child)
        finally:
            child.close()

    def _ask(self, child: Child, task: Task) -> Outcome:
        try:
            child.start()
            with self._lock:
                if task in self._abandoned:  # the start took too long; what is ready now serves the next task
                    return task.released()
                self._children[task] = child
            return child.execute(remote.pack(task))
        except Exception as error:
            return task.failed(error)
        finally:
            with self._lock:
                killed = self._children.pop(task, None) is not None and task in self._abandoned
            if killed:
                child.close()


class Child:
    """A process that executes tasks, one at a time, and the processes that these start. Used by one thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[bytes, Outcome | None] | None = None
        self._lifeline = -1

    def start(self) -> None:
        """Start the process unless it is running, and wait until it is ready.

        Raises:
            ProcessDied: It died on the way.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._connection, theirs = Pipe()
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [
                    sys.executable,
                    "-c",
                    START,
                    json.dumps([path or os.getcwd() for path in sys.path]),
                    json.dumps([theirs.fileno(), lifeline, *_logging()]),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), lifeline),
                process_group=0,  # out of reach of Ctrl-C; and to be killed with all that handlers start
            )
        finally:
            theirs.close()
            os.close(lifeline)
        try:
            if not self._connection.poll(STARTING):
                self.kill()
            self._connection.recv()
        except (EOFError, OSError):
            raise exceptions.ProcessDied(self.close(), starting=True) from None

    def execute(self, payload: bytes) -> Outcome:
        """Execute a task.

        Raises:
            ProcessDied: The process did not survive it.
        """
        assert self._connection is not None
        try:
            self._connection.send_bytes(payload)
            outcome = self._connection.recv()
        except (EOFError, OSError):
            raise exceptions.ProcessDied(self.close()) from None
        assert outcome is not None
        return outcome

    def kill(self) -> None:
        """Kill the process and what it started, if it is running. From any thread."""
        process = self._process
        if process is not None and process.poll() is None:
            self._kill_group(process)

    def close(self) -> int:
        """Let the process end: at once if it was told to or waits for a task, else by force. Returns its exit code."""
        process, self._process = self._process, None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        code = 0
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(CLOSING)
            self._kill_group(process)
            code = process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        return code

    def _kill_group(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()  # in case it has left its group


def _logging() -> tuple[int, str]:
    """Return level and format of the log as the worker's command has set them up; no format if the project did it."""
    logger = logging.getLogger("django_pgflow")
    forms = [handler.formatter._fmt for handler in logger.handlers if handler.formatter]
    return logger.getEffectiveLevel(), (forms[0] if forms else "") or ""
