"""Flows for worker processes. Each effect is a row of the table ``ledger``, which the tests make."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection

from django_pgflow import Context, Flow


def note(ctx: Context, text: str = "") -> None:
    """Write a row of the ledger, on Django's connection."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into ledger (run_id, step_slug, task_index, attempt, pid, thread, note) "
            "values (%s, %s, %s, %s, %s, %s, %s)",
            [ctx.run_id, ctx.step_slug, ctx.task_index, ctx.attempt, os.getpid(), threading.get_ident(), text],
        )


count = Flow("acc_count", max_attempts=2, base_delay=1, timeout=20)


@count.map
def tick(number: int, ctx: Context) -> int:
    note(ctx)
    return number * 2


@count.step
def total(tick: list[int]) -> int:
    return sum(tick)


acount = Flow("acc_acount", max_attempts=2, base_delay=1, timeout=20)


@acount.map
async def atick(number: int, ctx: Context) -> int:
    await sync_to_async(note)(ctx)
    return number * 2


slow = Flow("acc_slow", max_attempts=1, timeout=60)


@slow.map
def doze(seconds: float, ctx: Context) -> str:
    note(ctx, "begin")
    time.sleep(seconds)
    note(ctx, "end")
    return "slept"


aslow = Flow("acc_aslow", max_attempts=1, timeout=60)


@aslow.map
async def adoze(seconds: float, ctx: Context) -> str:
    await sync_to_async(note)(ctx, "begin")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        await sync_to_async(note)(ctx, "cancelled")
        raise
    await sync_to_async(note)(ctx, "end")
    return "slept"


retry = Flow("acc_retry", max_attempts=3, base_delay=1)


@retry.step
def third_time(flow_input: dict[str, Any], ctx: Context) -> int:
    if ctx.attempt <= flow_input["failures"]:
        raise ConnectionError("try again")
    return ctx.attempt
