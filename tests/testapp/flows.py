"""Small flows that the tests share. ``flaky`` fails until the file that its input names exists."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from django_pgflow import Context, Flow

greet = Flow("greet", verbose_name="Greeting")


@greet.step
def hello(flow_input: dict[str, Any]) -> str:
    """Greet somebody by name."""
    return f"Hello, {flow_input.get('name', 'world')}!"


chain = Flow("chain")


@chain.step
def first(flow_input: dict[str, Any]) -> int:
    return int(flow_input.get("number", 1))


@chain.step
def second(first: int) -> int:
    return first + 1


@chain.step
def third(second: int) -> int:
    return second * 10


diamond = Flow("diamond")


@diamond.step
def top(flow_input: dict[str, Any]) -> int:
    return int(flow_input.get("number", 1))


@diamond.step
def left(top: int) -> int:
    return top + 1


@diamond.step
def right(top: int) -> int:
    return top - 1


@diamond.step
def bottom(left: int, right: int) -> dict[str, int]:
    return {"left": left, "right": right}


fan_out = Flow("fan_out", max_attempts=2, base_delay=0)


@fan_out.array
def numbers(flow_input: dict[str, Any]) -> list[int]:
    return list(range(int(flow_input.get("count", 3))))


@fan_out.map(over=numbers)
def square(number: int, ctx: Context) -> dict[str, int]:
    return {"index": ctx.task_index, "square": number * number}


@fan_out.step
def total(square: list[dict[str, int]]) -> int:
    return sum(one["square"] for one in square)


root_map = Flow("root_map")


@root_map.map
def double(number: int, flow_input: list[int]) -> dict[str, int]:
    return {"double": number * 2, "of": len(flow_input)}


broken = Flow("broken", max_attempts=2, base_delay=0)


@broken.step
def explode(flow_input: dict[str, Any]) -> None:
    raise RuntimeError("This step fails on purpose.")


@broken.step
def after_explosion(explode: None) -> str:
    return "never"


flaky = Flow("flaky", max_attempts=1)


@flaky.step
def prepare(flow_input: dict[str, Any]) -> str:
    return "prepared"


@flaky.step
def fragile(flow_input: dict[str, Any], prepare: str) -> str:
    path = Path(flow_input["until"])
    if not path.exists():
        raise FileNotFoundError(f"There is no {path}.")
    return path.read_text()


coroutines = Flow("coroutines")


@coroutines.step
async def wait_a_little(flow_input: dict[str, Any]) -> float:
    seconds = float(flow_input.get("seconds", 0.01))
    await asyncio.sleep(seconds)
    return seconds


@coroutines.array
async def letters(wait_a_little: float) -> list[str]:
    return ["a", "b", "c"]


@coroutines.map(over=letters)
async def shout(letter: str) -> str:
    return letter.upper()


ordered = Flow("ordered", max_attempts=4, base_delay=1, timeout=30)


@ordered.step(timeout=20)
def wash(input: dict[str, Any]) -> dict[str, Any]:
    return input


@ordered.step(depends_on=[wash], max_attempts=2)
def dry(deps: dict[str, Any], ctx: Context) -> dict[str, Any]:
    return {"deps": deps, "attempt": ctx.attempt, "key": ctx.idempotency_key}
