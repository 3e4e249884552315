"""What differs between a flow in the code and the same flow in the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from django_pgflow.compiler.shape import FlowShape, StepShape
from django_pgflow.dsl import conditions
from django_pgflow.dsl.options import Options

PATTERNS = ("required_input_pattern", "forbidden_input_pattern")
MODES = ("when_unmet", "when_exhausted")
LIMITS = ("concurrency_limit", "concurrency_key")


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The differences of one flow, as sentences for people.

    Attributes:
        shape: What runs depend on: steps, their types, dependencies and conditions.
        options: What can change at any time: options, and the order of the steps.
    """

    shape: tuple[str, ...]
    options: tuple[str, ...]


def compare(code: FlowShape, stored: FlowShape) -> Drift:
    """Compare a flow as the code has it with the database's."""
    return Drift(shape=tuple(_shape(code, stored)), options=tuple(_options(code, stored)))


def _shape(code: FlowShape, stored: FlowShape) -> Iterator[str]:
    ours = {step.slug: step for step in code.steps}
    theirs = {step.slug: step for step in stored.steps}
    for slug in ours:
        if slug not in theirs:
            yield f"step {slug!r} is only in the code"
    for slug in theirs:
        if slug not in ours:
            yield f"step {slug!r} is only in the database"
    for slug in ours:
        if slug in theirs:
            yield from _step(ours[slug], theirs[slug])


def _step(ours: StepShape, theirs: StepShape) -> Iterator[str]:
    if ours.step_type != theirs.step_type:
        yield f"step {ours.slug!r} is a {ours.step_type} step in the code, a {theirs.step_type} step in the database"
    if set(ours.dependencies) != set(theirs.dependencies):
        yield (
            f"step {ours.slug!r} depends on {_names(ours.dependencies)} in the code, "
            f"on {_names(theirs.dependencies)} in the database"
        )
    for name in (*PATTERNS, *MODES):
        mine, other = getattr(ours, name), getattr(theirs, name)
        # The database writes JSON in its own way.
        if conditions.canonical(mine) != conditions.canonical(other) if name in PATTERNS else mine != other:
            yield _difference(f"{name} of step {ours.slug!r}", mine, other, "absent")


def _options(code: FlowShape, stored: FlowShape) -> Iterator[str]:
    yield from _option("the flow", code.options, stored.options, "unset")
    theirs = {step.slug: step for step in stored.steps}
    for step in code.steps:
        if step.slug in theirs:
            yield from _option(f"step {step.slug!r}", step.options, theirs[step.slug].options, "unset")
            for name in LIMITS:
                mine, other = getattr(step, name), getattr(theirs[step.slug], name)
                if mine != other:
                    yield _difference(f"{name} of step {step.slug!r}", mine, other, "unset")
    ours = [step.slug for step in code.steps]
    if set(ours) == set(theirs) and ours != list(theirs):
        yield f"order of the steps: {', '.join(ours)} in the code, {', '.join(theirs)} in the database"


def _option(owner: str, ours: Options, theirs: Options, absent: str) -> Iterator[str]:
    for option in fields(Options):
        mine, other = getattr(ours, option.name), getattr(theirs, option.name)
        if mine != other:
            yield _difference(f"{option.name} of {owner}", mine, other, absent)


def _difference(name: str, ours: object, theirs: object, absent: str) -> str:
    mine, other = (absent if value is None else str(value) for value in (ours, theirs))
    return f"{name}: {mine} in the code, {other} in the database"


def _names(slugs: tuple[str, ...]) -> str:
    return ", ".join(sorted(slugs)) or "nothing"
