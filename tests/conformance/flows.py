"""Flows for workers on cores that others installed. Outputs tell what the handlers were given."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

from django.db import connection

from django_pgflow import Context, Flow
from django_pgflow.exceptions import NotSupported

chain = Flow("con_chain", max_attempts=3, base_delay=0, timeout=20)


@chain.step
def root(input: Any, flow_input: Any) -> dict[str, Any]:
    return {"input": input, "flow_input": flow_input}


@chain.step
def middle(root: dict[str, Any], input: Any) -> list[str]:
    return sorted(input)


@chain.step
def leaf(middle: list[str], root: dict[str, Any], flow_input: Any) -> dict[str, Any]:
    return {"middle": middle, "root": root, "flow_input": flow_input}


maps = Flow("con_maps", max_attempts=3, base_delay=0, timeout=20)


@maps.map
def double(number: int, flow_input: list[int]) -> list[int]:
    return [number * 2, len(flow_input)]


@maps.map(over=double)
def again(pair: list[int], ctx: Context) -> int:
    return pair[0] + ctx.task_index


@maps.step
def total(again: list[int]) -> int:
    return sum(again)


slow = Flow("con_slow", max_attempts=2, base_delay=0, timeout=60)


@slow.step
async def nap(flow_input: float, ctx: Context) -> int:
    await asyncio.sleep(flow_input if ctx.attempt == 1 else 0)
    return ctx.attempt


flaky = Flow("con_flaky", max_attempts=3, base_delay=0, timeout=20)


@flaky.step
def third_time(ctx: Context) -> list[int]:
    if ctx.attempt < 3:
        raise ValueError(f"attempt {ctx.attempt}")
    return [ctx.attempt, ctx.max_attempts]


hopeless = Flow("con_hopeless", max_attempts=2, base_delay=0, timeout=20)


@hopeless.step
def never() -> None:
    raise ValueError("no \x00 luck")


capped = Flow("con_capped", max_attempts=1, base_delay=0, timeout=20, worker_concurrency=3)
running: Counter[str] = Counter()


async def count(slug: str) -> int:
    """Return how many handlers of a step run while this one does."""
    running[slug] += 1
    await asyncio.sleep(0.05)
    found = running[slug]
    running[slug] -= 1
    return found


@capped.map(worker_concurrency=1)
async def narrow(number: int) -> int:
    return await count("narrow")


@capped.map
async def wide(number: int) -> int:
    return await count("wide")


atomic = Flow("con_atomic", max_attempts=2, base_delay=0, timeout=20)


@atomic.step(atomic=True)
def write(ctx: Context) -> int:
    with connection.cursor() as cursor:
        cursor.execute("insert into ledger (note) values (%s)", [f"attempt {ctx.attempt}"])
        if ctx.attempt == 1:
            raise ValueError
    if ctx.flow_input == "lost":
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute("update pgflow.runs set status = 'failed', failed_at = clock_timestamp()")
        other.close()
    return ctx.attempt


context = Flow("con_context", max_attempts=1, base_delay=0, timeout=20)


@context.step
def ask(ctx: Context) -> list[Any]:
    ctx.progress(1, 2, "half")
    time.sleep(1.5)
    child = ctx.start(chain, a=1)
    try:
        ctx.extend(60)
    except NotSupported as error:
        return [ctx.meta, ctx.flow_input, str(child.pk), str(error)]
    raise AssertionError
