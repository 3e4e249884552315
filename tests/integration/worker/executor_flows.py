"""Flows whose handlers run outside of the worker's own threads. What they tell, they tell by rows of ``ledger``."""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection

from django_pgflow import Context, Flow, NonRetryable, RetryAfter, SkipStep


def note(ctx: Context, text: str) -> None:
    """Write a row with this process' id."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into ledger (run_id, step_slug, task_index, attempt, pid, note) values (%s, %s, %s, %s, %s, %s)",
            [ctx.run_id, ctx.step_slug, ctx.task_index, ctx.attempt, os.getpid(), text],
        )


class Unpicklable(Exception):
    """Holds what cannot be pickled, and cannot be made of its arguments either."""

    def __init__(self, code: int, reason: str) -> None:
        self.raised_by = lambda: None
        super().__init__(f"{reason} ({code})")


def act(what: str, ctx: Context) -> Any:
    """Do one of the things that handlers do."""
    match what:
        case "pid":
            time.sleep(0.3)
            return os.getpid()
        case "context":
            get_user_model().objects.create(username=str(ctx.run_id))
            return [str(ctx.run_id), ctx.flow_slug, ctx.step_slug, ctx.task_index, ctx.attempt, ctx.time_left() > 0]
        case "progress":
            ctx.progress(1, 3, "in another process")
        case "worker":
            return [ctx.flow_input, ctx.worker.name.rpartition(":")[2]]
        case "log":
            ctx.log.warning("Noted by the handler")
            return None
        case "hang":
            helper = subprocess.Popen(["sleep", "600"])
            note(ctx, str(helper.pid))
            re.match(r"(a+)+$", "a" * 64 + "b")  # in C, and with the GIL held
        case "sleep":
            note(ctx, "begin")
            time.sleep(2)
            return "slept"
        case "nap":
            time.sleep(5)
        case "exit":
            os._exit(3)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
            time.sleep(60)
        case "die once":
            if ctx.attempt == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return ctx.attempt
        case "quit":
            sys.exit(4)
        case "unpicklable":
            raise Unpicklable(7, "cannot travel")
        case "not a number":
            return float("nan")
        case "no retry":
            raise NonRetryable("no such customer")
        case "known":
            raise LookupError("known")
        case "skip":
            raise SkipStep("nothing to do")
        case "later":
            note(ctx, "later")
            if ctx.attempt == 1:
                raise RetryAfter(1, "busy", count=False)
            return ctx.attempt
        case "large":
            return "x" * 5_000_000
    return what


if os.environ.get("TEST_SLOW_START") and "django" not in sys.orig_argv:
    # In a child, which has another command line than its worker.
    print("A slow start", flush=True)
    time.sleep(float(os.environ["TEST_SLOW_START"]))

processes = Flow("exe_processes", max_attempts=1, timeout=30)


@processes.map(executor="processes", no_retry=[LookupError])
def each(what: str, ctx: Context, flow_input: list[str]) -> Any:
    assert what in flow_input
    return act(what, ctx)


atomic = Flow("exe_atomic", max_attempts=1, timeout=30)


@atomic.step(executor="processes", atomic=True)
def write(flow_input: dict[str, bool], ctx: Context) -> int:
    get_user_model().objects.create(username=str(ctx.run_id))
    if flow_input["fails"]:
        raise ValueError("too late")
    return os.getpid()


patient = Flow("exe_patient", max_attempts=3, base_delay=0, timeout=30)


@patient.map(executor="processes", no_retry=[LookupError], when_exhausted="fail")
def again(what: str, ctx: Context) -> Any:
    return act(what, ctx)


hasty = Flow("exe_hasty", max_attempts=1, timeout=3)


@hasty.map(executor="processes", timeout=3)
def quick(what: str, ctx: Context) -> Any:
    return act(what, ctx)


pool = Flow("exe_pool", max_attempts=1, timeout=30)


@pool.map(executor="pool")
def pooled(what: str, ctx: Context) -> Any:
    return act(what, ctx)


hasty_pool = Flow("exe_hasty_pool", max_attempts=1, timeout=3)


@hasty_pool.map(executor="pool")
def soon(seconds: float, ctx: Context) -> float:
    note(ctx, "begin")
    time.sleep(seconds)
    return seconds


class Moody(concurrent.futures.ThreadPoolExecutor):
    """Cannot be made the first time; cancels the first task."""

    made = 0
    submitted = 0

    def __init__(self, *, max_workers: int) -> None:
        Moody.made += 1
        if Moody.made == 1:
            raise ConnectionError("no such cluster")
        super().__init__(max_workers)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        Moody.submitted += 1
        if Moody.submitted == 1:
            future: concurrent.futures.Future[Any] = concurrent.futures.Future()
            future.cancel()
            return future
        return super().submit(fn, *args, **kwargs)
