"""Flows for workers on cores that others installed. Outputs tell what the handlers were given."""

from __future__ import annotations

import asyncio
from typing import Any

from django_pgflow import Context, Flow

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
