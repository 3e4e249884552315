"""The folder in which the demo keeps everything: data, passwords, logs, and the lock that lets only one demo in."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from pathlib import Path
from typing import TextIO

from example_project.demo.problems import Problem


class State:
    """The folder, ``.demo`` unless told otherwise.

    Args:
        folder: Made if absent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        if any(character.isspace() for character in str(self.folder)):
            raise Problem(
                f"The path {str(self.folder)!r} contains a space, and the embedded PostgreSQL cannot run there.\n"
                "Move the project to a path without one."
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Problem(f"The demo cannot keep its data in {self.folder}: {error.strerror}.") from error
        self.postgres = self.folder / "postgres"
        self._lock: TextIO | None = None

    def log(self, name: str) -> Path:
        """Return where a child's output goes."""
        return self.folder / f"{name}.log"

    def lock(self) -> None:
        """Keep other demos out of this folder for as long as this process lives.

        Raises:
            Problem: Another demo is in.
        """
        self._lock = (self.folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            who = self._lock.read().strip() or "another process"
            raise Problem(
                f"A demo is running already in {self.folder} ({who}).\n"
                "Stop it with Ctrl-C in its terminal, then try again."
            ) from None

    def note(self, text: str) -> None:
        """Write into the lock what the next one is told."""
        assert self._lock is not None
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(text)
        self._lock.flush()

    def secret(self, name: str, *, length: int) -> str:
        """Return a random text that stays the same from start to start, kept for the owner's eyes only."""
        path = self.folder / name
        if not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(length))
        return path.read_text(encoding="ascii").strip()


def free_port(port: int) -> int:
    """Return ``port`` if nobody listens there, or any free one for 0.

    Raises:
        Problem: It is taken, or not for us.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Problem(
                f"The web server cannot use port {port}: {(error.strerror or str(error)).lower()}.\n"
                f"Stop what listens there, or take another port: make demo PORT={port + 1 if port < 65535 else 8001}"
            ) from error
        return int(probe.getsockname()[1])
