"""Flows whose handlers wait at a gate, or kill their worker. What they do is told by files: Postgres may be gone."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from django_pgflow import Context, Flow

gated = Flow("acc_gated", max_attempts=1, timeout=3600)


@gated.map
def wait(folder: str, ctx: Context) -> int:
    """Wait until the folder has a file ``gate``; without a folder, wait for nothing."""
    if folder:
        tell(folder, "begin", ctx)
        while not (Path(folder) / "gate").exists():
            time.sleep(0.05)
        tell(folder, "end", ctx)
    return ctx.task_index


deadly = Flow("acc_deadly", max_attempts=1, timeout=3600)


@deadly.map
def live(means: str, ctx: Context) -> str:
    if means == "exit":
        os._exit(1)
    if means == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(means))
    return "lived"


def tell(folder: str, what: str, ctx: Context) -> None:
    """Write a line: what, task index, attempt, process id."""
    with (Path(folder) / "log").open("a") as log:
        log.write(f"{what} {ctx.task_index} {ctx.attempt} {os.getpid()}\n")
