"""Shows runs while they go on: redrawn on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TextIO

from django.db.models import Count, F, Q, Sum

from django_pgflow import models
from django_pgflow.statuses import StepStatus

MARKS = {
    StepStatus.CREATED: "·",
    StepStatus.STARTED: "▸",
    StepStatus.COMPLETED: "✓",
    StepStatus.FAILED: "✗",
    StepStatus.SKIPPED: "-",
}


class Progress:
    """A block of lines, one for each run.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._shown: list[str] = []
        self._changes: dict[str, str] = {}

    def show(self, runs: Sequence[models.Run]) -> None:
        """Show the runs as they are."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            lines = [describe(run)[:width] for run in runs]
            if lines != self._shown:
                if self._shown:
                    self._stream.write(f"\x1b[{len(self._shown)}F\x1b[J")
                self._stream.writelines(f"{line}\n" for line in lines)
                self._shown = lines
        else:
            for run in runs:
                # Without the counts: a map of hundreds would be hundreds of lines.
                change = describe(run, counts=False)
                if self._changes.get(str(run.pk)) != change:
                    self._changes[str(run.pk)] = change
                    self._stream.write(f"{describe(run)}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the lines where they are; what comes next begins a new block."""
        self._shown = []


def describe(run: models.Run, *, counts: bool = True) -> str:
    """Return a line on a run: its status, and each step with a mark, its tasks if they are many, and its retries."""
    tasks = {
        row["step_slug"]: row
        for row in run.step_tasks.values("step_slug").annotate(
            retries=Sum(F("attempts_count") - 1, filter=Q(attempts_count__gt=1)), count=Count("task_index")
        )
    }
    steps = []
    for state in run.step_states.order_by("step__step_index"):
        text = f"{MARKS[StepStatus(state.status)]} {state.step_slug}"
        if counts and (state.initial_tasks or 0) > 1:
            text += f" {state.completed_tasks}/{state.initial_tasks}"
        if counts and (retries := tasks.get(state.step_slug, {}).get("retries")):
            text += f" ({retries} {'retry' if retries == 1 else 'retries'})"
        steps.append(text)
    return f"  {run.flow_slug:<16} {str(run.pk)[:8]}  {run.status:<9}  {'  '.join(steps)}"
