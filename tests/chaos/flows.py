"""Ordinary flows. Each handler writes an effect, takes 0 to 1 seconds, and computes something from its input."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from asgiref.sync import sync_to_async

from django_pgflow import Context, Flow, RetryAfter, SkipStep
from tests.chaos.effects import effect

OPTIONS: Any = {"max_attempts": 8, "base_delay": 1, "timeout": 5}
"""Attempts enough for handlers that fail because Postgres, to which they write, is gone."""


class Unwell(Exception):
    """What handlers raise on purpose."""


def seconds(ctx: Context) -> float:
    """Return how long an attempt takes: mostly little."""
    return random.Random(f"{ctx.idempotency_key}:{ctx.attempt}").random() ** 2


def work(ctx: Context) -> None:
    """Do what a ``def`` handler does besides computing."""
    effect(ctx)
    time.sleep(seconds(ctx))


def atomic_work(ctx: Context) -> None:
    """Do what an atomic handler does: its row is to be there once, however often it is tried."""
    effect(ctx, "atomic_effects")
    time.sleep(seconds(ctx))


async def awork(ctx: Context) -> None:
    """Do what an ``async def`` handler does."""
    await sync_to_async(effect)(ctx)
    await asyncio.sleep(seconds(ctx))


chain = Flow("chaos_chain", **OPTIONS)


@chain.step
def first(flow_input: dict[str, Any], ctx: Context) -> int:
    work(ctx)
    return flow_input["number"] + 1


@chain.step
async def second(first: int, ctx: Context) -> int:
    await awork(ctx)
    return first * 2


@chain.step(atomic=True)
def third(second: int, ctx: Context) -> int:
    atomic_work(ctx)
    return second + 3


@chain.step
async def fourth(third: int, ctx: Context) -> int:
    await awork(ctx)
    return third * 2


@chain.step
def fifth(fourth: int, ctx: Context) -> int:
    work(ctx)
    return fourth - 1


diamond = Flow("chaos_diamond", **OPTIONS)


@diamond.step
async def split(flow_input: dict[str, Any], ctx: Context) -> dict[str, int]:
    await awork(ctx)
    return {"left": flow_input["number"], "right": flow_input["number"] * 10}


@diamond.step
async def left(split: dict[str, int], ctx: Context) -> int:
    await awork(ctx)
    return split["left"] + 1


@diamond.step(atomic=True)
def right(split: dict[str, int], ctx: Context) -> int:
    atomic_work(ctx)
    return split["right"] + 2


@diamond.step
def join(left: int, right: int, ctx: Context) -> int:
    work(ctx)
    return left * right


fan = Flow("chaos_fan", **OPTIONS)


@fan.array
def numbers(flow_input: dict[str, Any], ctx: Context) -> list[int]:
    work(ctx)
    return [flow_input["number"] + index for index in range(flow_input["size"])]


@fan.map(over=numbers)
async def square(item: int, ctx: Context) -> int:
    await awork(ctx)
    return item * item


@fan.map(over=square, atomic=True)
def halve(item: int, ctx: Context) -> int:
    atomic_work(ctx)
    return item // 2


@fan.step
def collect(numbers: list[int], halve: list[int], ctx: Context) -> dict[str, Any]:
    work(ctx)
    return {"count": len(numbers), "halves": halve}


listed = Flow("chaos_list", **OPTIONS)


@listed.map
def double(item: int, ctx: Context) -> int:
    work(ctx)
    return item * 2


@listed.step
async def total(double: list[int], ctx: Context) -> int:
    await awork(ctx)
    return sum(double)


stubborn = Flow("chaos_stubborn", **OPTIONS)


@stubborn.array
def tries(flow_input: dict[str, Any], ctx: Context) -> list[int]:
    work(ctx)
    if ctx.attempt <= flow_input["number"] % 3:
        raise Unwell("not yet")
    return list(range(10))


@stubborn.map(over=tries)
async def patchy(item: int, ctx: Context) -> int:
    await awork(ctx)
    if ctx.attempt == 1 and item % 3 == 0:
        raise Unwell("not the first time")
    if ctx.attempt == 1 and item % 3 == 1:
        raise RetryAfter(1, count=False)
    return item + 1


@stubborn.step(max_attempts=2, when_exhausted="skip")
def hopeless(tries: list[int], ctx: Context) -> int:
    work(ctx)
    raise Unwell("never")


@stubborn.step
def outcome(patchy: list[int], ctx: Context, hopeless: int | None = None) -> list[Any]:
    work(ctx)
    return [*patchy, hopeless]


choices = Flow("chaos_choices", **OPTIONS)


@choices.step(only_if={"kind": "a"})
def only_a(flow_input: dict[str, Any], ctx: Context) -> dict[str, Any]:
    work(ctx)
    return {"big": flow_input["number"] > 500}


@choices.step(unless={"kind": "a"})
async def not_a(flow_input: dict[str, Any], ctx: Context) -> str:
    await awork(ctx)
    return f"{flow_input['kind']} {flow_input['number']}"


@choices.step
def odd(flow_input: dict[str, Any], ctx: Context) -> int:
    work(ctx)
    if flow_input["number"] % 2 == 0:
        raise SkipStep("even")
    return flow_input["number"]


@choices.step(only_if={"only_a": {"big": True}}, when_unmet="skip-cascade", atomic=True)
def big(only_a: dict[str, Any], ctx: Context) -> str:
    atomic_work(ctx)
    return "big"


@choices.step
async def very_big(big: str, ctx: Context) -> str:
    await awork(ctx)
    return f"very {big}"


@choices.step(depends_on=[only_a, not_a, odd])
def end(ctx: Context, not_a: str = "", odd: int = 0) -> list[Any]:
    work(ctx)
    return [not_a, odd]
