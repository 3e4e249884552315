"""What the workers and Postgres wrote: tracebacks, refused reports, errors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

RECORD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (\w+) (.*)")
TRACEBACK = "Traceback (most recent call last)"
EXPECTED = (
    ("Task failed", "tests.chaos.flows.Unwell"),
    ("Commit interrupted", "django.db.utils.OperationalError"),
)
"""Tracebacks that have their reason: how the record begins, and what was raised."""
VARIABLE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+(\.\d+)?")
SERVER_ERROR = re.compile(r" (ERROR|PANIC):\s+(.*)")


@dataclass(kw_only=True)
class Findings:
    """What was found.

    Attributes:
        tracebacks: Of what nobody meant to happen, by what was logged and raised; and where the first one stands.
        records: Log records of warning level and above, by text without numbers.
        refused_reports: Late or foreign reports that the database refused.
        server_errors: Errors of Postgres, by text without numbers.
    """

    tracebacks: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    refused_reports: int = 0
    server_errors: Counter[str] = field(default_factory=Counter)

    @property
    def deadlocks(self) -> int:
        """How many deadlocks Postgres found."""
        return sum(count for text, count in self.server_errors.items() if "deadlock detected" in text)


def read(worker_logs: Iterable[Path], server_log: Path) -> Findings:
    """Read all logs."""
    found = Findings()
    for path in worker_logs:
        _read_worker(path, found)
    for line in server_log.read_text(errors="replace").splitlines():
        if match := SERVER_ERROR.search(line):
            found.server_errors[VARIABLE.sub("#", f"{match[1]}: {match[2]}")] += 1
    return found


def _read_worker(path: Path, found: Findings) -> None:
    text = "(nothing was logged before)"
    block: list[str] = []

    def end_block() -> None:
        """Judge the lines that followed a record."""
        if any(TRACEBACK in line for line in block):
            last = max(place for place, line in enumerate(block) if line.startswith(("  File ", TRACEBACK)))
            raised = next((line for line in block[last + 1 :] if line and not line.startswith(" ")), "")
            if not any(text.startswith(record) and raised.startswith(error) for record, error in EXPECTED):
                found.tracebacks[VARIABLE.sub("#", f"{text.split(' flow=')[0]} … {raised}")] += 1
        block.clear()

    for line in path.read_text(errors="replace").splitlines():
        if match := RECORD.match(line):
            end_block()
            text = match[2]
            if match[1] in ("WARNING", "ERROR", "CRITICAL"):
                found.records[f"{match[1]} {VARIABLE.sub('#', text.split(' flow=')[0])[:120]}"] += 1
            found.refused_reports += text.startswith("Report refused")
        else:
            block.append(line)
    end_block()
