"""A gate at which handlers of ``acc_gated`` wait, and what they told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

SETTINGS = {"FLOW_MODULES": ["tests.acceptance.flows", "tests.acceptance.liveness_flows"]}


def settings(**worker: object) -> dict[str, str]:
    """Return the environment of a worker that has the flows of ``liveness_flows``."""
    return {"TEST_PGFLOW": json.dumps({**SETTINGS, "WORKER": worker})}


class Line(NamedTuple):
    """What a handler told: ``"begin"`` or ``"end"``, and of which task."""

    what: str
    index: int
    attempt: int
    pid: int


class Gate:
    """A folder that is the input of gated tasks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def __str__(self) -> str:
        return str(self._folder)

    def open(self) -> None:
        """Let all pass, now and later."""
        (self._folder / "gate").touch()

    def lines(self, what: str = "begin") -> list[Line]:
        """Return what handlers told so far."""
        log = self._folder / "log"
        words = (line.split() for line in log.read_text().splitlines()) if log.exists() else ()
        told = [Line(word, int(index), int(attempt), int(pid)) for word, index, attempt, pid in words]
        return [line for line in told if line.what == what]
