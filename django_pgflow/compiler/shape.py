"""A flow as the database holds it: made of a definition, or of rows, so that the two can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django_pgflow.dsl.definition import FlowDefinition
from django_pgflow.dsl.options import Options


@dataclass(frozen=True, kw_only=True)
class StepShape:
    """A row of ``pgflow.steps`` with its dependencies.

    Attributes:
        slug: The step.
        step_type: ``"single"`` or ``"map"``.
        dependencies: Slugs; their order means nothing.
        options: None is inherited from the flow.
        required_input_pattern, forbidden_input_pattern: JSON text of a condition, or None.
        when_unmet, when_exhausted: ``"fail"``, ``"skip"`` or ``"skip-cascade"``.
        concurrency_limit: Tasks in the hands of all workers at a time; None for any number.
        concurrency_key: Dotted path into the run's input, for each value at which the limit holds; None for all.
    """

    slug: str
    step_type: str
    dependencies: tuple[str, ...]
    options: Options
    required_input_pattern: str | None = None
    forbidden_input_pattern: str | None = None
    when_unmet: str = "skip"
    when_exhausted: str = "fail"
    concurrency_limit: int | None = None
    concurrency_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class FlowShape:
    """A row of ``pgflow.flows`` with its steps, in order of their index."""

    slug: str
    options: Options
    steps: tuple[StepShape, ...]


def of(flow: FlowDefinition) -> FlowShape:
    """Return the shape of a definition, all options of the flow filled in. Reads the settings."""
    return FlowShape(
        slug=flow.slug,
        options=flow.options.with_defaults(),
        steps=tuple(
            StepShape(
                slug=step.slug,
                step_type=step.step_type,
                dependencies=step.depends_on,
                options=step.options,
                required_input_pattern=step.conditions.required,
                forbidden_input_pattern=step.conditions.forbidden,
                when_unmet=step.conditions.when_unmet,
                when_exhausted=step.conditions.when_exhausted,
                concurrency_limit=step.concurrency_limit,
                concurrency_key=step.concurrency_key,
            )
            for step in flow.steps.values()
        ),
    )


def read(flow: dict[str, Any], steps: Iterable[dict[str, Any]]) -> FlowShape:
    """Return the shape of rows, as ``statements`` select them."""
    return FlowShape(
        slug=flow["flow_slug"],
        options=_options(flow),
        steps=tuple(
            StepShape(
                slug=step["step_slug"],
                step_type=step["step_type"],
                dependencies=tuple(step["dependencies"]),
                options=_options(step),
                required_input_pattern=step["required_input_pattern"],
                forbidden_input_pattern=step["forbidden_input_pattern"],
                when_unmet=step["when_unmet"],
                when_exhausted=step["when_exhausted"],
                concurrency_limit=step["concurrency_limit"],
                concurrency_key=step["concurrency_key"],
            )
            for step in steps
        ),
    )


def _options(row: dict[str, Any]) -> Options:
    return Options(
        max_attempts=row["opt_max_attempts"],
        base_delay=row["opt_base_delay"],
        timeout=row["opt_timeout"],
        start_delay=row.get("opt_start_delay"),
    )
