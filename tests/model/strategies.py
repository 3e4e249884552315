"""Random flows, inputs, outputs and reports, such that much of what a flow can do happens in a few steps."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from tests.model.values import ABSENT, Flow, Report, Step


def _pretty(value: Any, printer: Any, cycle: bool) -> None:
    """Print a step or report as it would be written: without what is as usual."""
    told = [f.name for f in dataclasses.fields(value) if getattr(value, f.name) != f.default]
    printer.text(f"{type(value).__name__}({', '.join(f'{name}={getattr(value, name)!r}' for name in told)})")


Step._repr_pretty_ = Report._repr_pretty_ = _pretty  # type: ignore[attr-defined]

VALUES = st.sampled_from([{"a": 1}, {}, {"a": {"b": 2}}, {"b": [1, {"c": None}]}, 5, "text", True, None, [], ABSENT])
ARRAYS = st.sampled_from([[1, 2], [], [None], [{"a": 1}, None, "x"], [[1], 2, [], 4]])
PATTERNS: list[Any] = [{"a": 1}, {}, {"a": {}}, {"b": [{}]}]
ERRORS = st.sampled_from(["boom", "bang"])
LATER = 1000
"""Seconds that no example takes."""


@st.composite
def steps(draw: st.DrawFn, slug: str, before: list[Step]) -> Step:
    """Make a step that depends on some of those before it."""
    is_map = draw(st.booleans())
    parents = [step.slug for step in before]
    deps = draw(st.lists(st.sampled_from(parents), unique=True, max_size=1 if is_map else 3)) if parents else []
    patterns = [pattern if not deps else {deps[0]: pattern} for pattern in PATTERNS]
    if draw(st.integers(0, 3)) == 3:
        required, forbidden = draw(st.sampled_from([(p, f) for p in [*patterns, None] for f in [*patterns, None]]))
    else:
        required, forbidden = None, None
    modes = st.sampled_from(["fail", "skip", "skip-cascade"])
    return Step(
        slug=slug,
        is_map=is_map,
        deps=tuple(deps),
        max_attempts=draw(st.sampled_from([None, 0, 1, 2])),
        base_delay=draw(st.sampled_from([None, LATER])),
        timeout=draw(st.sampled_from([None, 10])),
        start_delay=draw(st.sampled_from([None, None, 0, LATER])),
        required=required,
        forbidden=forbidden,
        when_unmet="skip" if required is None and forbidden is None else draw(modes),
        when_exhausted=draw(modes),
    )


@st.composite
def flows(draw: st.DrawFn, slug: str) -> Flow:
    """Make a flow of one to six steps, whose slugs are in another order than the steps."""
    slugs = draw(st.sampled_from(["abcdef", "fbdace", "fedcba"]))
    made: list[Step] = []
    for step_slug in slugs[: draw(st.sampled_from([4, 1, 2, 3, 5, 6, 6]))]:
        made.append(draw(steps(step_slug, made)))
    return Flow(slug=slug, steps=tuple(made), max_attempts=draw(st.integers(1, 3)), base_delay=0, timeout=500)


def inputs(flow: Flow) -> st.SearchStrategy[Any]:
    """Make an input for a run, mostly one that the flow takes."""
    if any(step.is_map and not step.deps for step in flow.steps):
        return st.one_of(ARRAYS, ARRAYS, ARRAYS, VALUES)
    return st.one_of(VALUES, VALUES, ARRAYS)


def outputs(flow: Flow, step: Step) -> st.SearchStrategy[Any]:
    """Make an output for a task, mostly an array where a map runs over it."""
    if not step.is_map and any(child.is_map for child in flow.children(step.slug)):
        return st.one_of(ARRAYS, ARRAYS, ARRAYS, ARRAYS, VALUES)
    return st.one_of(VALUES, ARRAYS)
