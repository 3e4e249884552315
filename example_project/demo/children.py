"""The processes that the demo starts: the web server and the worker."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from example_project.demo.problems import Problem


class Child:
    """A process of ours, with its output in a file.

    It gets a session of its own, so that Ctrl-C reaches only the demo, which then stops its children in order.

    Args:
        name: What people call it.
        command: Program and arguments.
        log: File for its output; begins anew.
        environment: Variables besides our own.
        cwd: Folder to run in.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str], cwd: Path
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - commands of this file's caller
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                start_new_session=True,
            )

    def check(self) -> None:
        """Make sure that it lives.

        Raises:
            Problem: It does not.
        """
        code = self._process.poll()
        if code is not None:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
            raise Problem(
                f"The {self.name} {how}, which it should not. The last lines of {self.log}:\n"
                + "\n".join(f"  {line}" for line in lines or ["(nothing)"])
            )

    def stop(self, *, seconds: float = 15.0) -> None:
        """Ask it to end, wait, and kill it and whatever it started if it does not."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            print(f"The {self.name} did not end within {seconds:g} seconds, so it is killed.")
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
