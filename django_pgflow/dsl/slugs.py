"""Names of flows and steps: what the database and its queues can hold, and what Python code can use."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from django_pgflow import exceptions

PATTERN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
FLOW_LENGTH = 47
"""pgmq's limit for the name of a queue, which is the slug of the flow."""
STEP_LENGTH = 128
FORBIDDEN = frozenset({"run"})
"""The core refuses it: in a task's input, ``run`` is the key of the flow's input."""
RESERVED = frozenset({"flow_input", "input", "deps", "ctx", "item"})
"""Parameters of handlers that name no step."""


def check_flow_slug(slug: object, *, location: str) -> str:
    """Return the slug of a flow, or raise FlowDefinitionError (E001, E002, E004)."""
    return _check("flow", slug, FLOW_LENGTH, FORBIDDEN, location)


def check_step_slug(slug: object, *, location: str) -> str:
    """Return the slug of a step, or raise FlowDefinitionError (E001, E002, E004)."""
    return _check("step", slug, STEP_LENGTH, FORBIDDEN | RESERVED, location)


def _check(kind: str, slug: object, length: int, taken: Iterable[str], location: str) -> str:
    if not isinstance(slug, str) or not PATTERN.fullmatch(slug):
        raise exceptions.FlowDefinitionError(
            f"{slug!r} cannot be the slug of a {kind}: use ASCII letters, digits and underscores, no digit first.",
            location=location,
            check_id="pgflow.E001",
        )
    if len(slug) > length:
        raise exceptions.FlowDefinitionError(
            f"The slug of the {kind} {slug!r} has {len(slug)} characters; {length} is the most.",
            location=location,
            check_id="pgflow.E002",
        )
    if slug in taken:
        raise exceptions.FlowDefinitionError(
            f"{slug!r} cannot be the slug of a {kind}: the name is reserved. Choose another"
            + (" with slug=." if kind == "step" else "."),
            location=location,
            check_id="pgflow.E004",
        )
    return slug


def did_you_mean(name: object, choices: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?``, with a space before it, or ``""`` if nothing is near."""
    lowered = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(str(name).lower(), lowered, n=1)
    return f" Did you mean {lowered[near[0]]!r}?" if near else ""
