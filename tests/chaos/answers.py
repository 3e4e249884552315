"""What runs are started with, and what they must give."""

from __future__ import annotations

import random
from typing import Any

WEIGHTS = {
    "chaos_chain": 6,
    "chaos_diamond": 6,
    "chaos_fan": 2,
    "chaos_list": 2,
    "chaos_stubborn": 3,
    "chaos_choices": 5,
}
"""How often each flow is started."""


def make_input(flow_slug: str, dice: random.Random) -> Any:
    """Return an input for a run of a flow."""
    number = dice.randrange(1000)
    if flow_slug == "chaos_fan":
        return {"number": number, "size": dice.randint(10, 60)}
    if flow_slug == "chaos_list":
        return [dice.randrange(1000) for _ in range(dice.randint(0, 40))]
    if flow_slug == "chaos_choices":
        return {"number": number, "kind": dice.choice("ab")}
    return {"number": number}


def answer(flow_slug: str, given: Any) -> dict[str, Any]:
    """Return the output of a run of a flow with this input: that of its leaf steps, by slug."""
    if flow_slug == "chaos_list":
        return {"total": sum(2 * item for item in given)}
    number: int = given["number"]
    if flow_slug == "chaos_chain":
        return {"fifth": ((number + 1) * 2 + 3) * 2 - 1}
    if flow_slug == "chaos_diamond":
        return {"join": (number + 1) * (number * 10 + 2)}
    if flow_slug == "chaos_fan":
        halves = [item * item // 2 for item in range(number, number + given["size"])]
        return {"collect": {"count": given["size"], "halves": halves}}
    if flow_slug == "chaos_stubborn":
        return {"outcome": [*range(1, 11), None]}
    assert flow_slug == "chaos_choices"
    is_a = given["kind"] == "a"
    end = ["" if is_a else f"{given['kind']} {number}", number if number % 2 else 0]
    return {"end": end, **({"very_big": "very big"} if is_a and number > 500 else {})}
