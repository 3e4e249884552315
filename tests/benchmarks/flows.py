"""Flows whose handlers do nothing."""

from __future__ import annotations

from typing import Any

from django_pgflow import Flow

bench_single = Flow("bench_single")


@bench_single.step
async def only(flow_input: Any) -> None: ...


bench_single_sync = Flow("bench_single_sync")


@bench_single_sync.step(slug="only")
def only_sync(flow_input: Any) -> None: ...


bench_chain = Flow("bench_chain")


@bench_chain.step
async def one(flow_input: Any) -> int:
    return 1


@bench_chain.step
async def two(one: int) -> int:
    return one + 1


@bench_chain.step
async def three(two: int) -> int:
    return two + 1


@bench_chain.step
async def four(three: int) -> int:
    return three + 1


@bench_chain.step
async def five(four: int) -> int:
    return four + 1


bench_map = Flow("bench_map")


@bench_map.map
async def element(value: int) -> int:
    return value


@bench_map.step
async def collect(element: list[int]) -> int:
    return len(element)


bench_diamond = Flow("bench_diamond")


@bench_diamond.step
async def a(flow_input: Any) -> int:
    return 1


@bench_diamond.step
async def b(a: int) -> int:
    return a + 1


@bench_diamond.step
async def c(a: int) -> int:
    return a + 2


@bench_diamond.step
async def d(b: int, c: int) -> int:
    return b + c
