"""Conditions of steps: when a step runs, and what follows when it does not or cannot."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from django.core.serializers.json import DjangoJSONEncoder

from django_pgflow import exceptions
from django_pgflow.dsl import codec, slugs

if TYPE_CHECKING:
    from django_pgflow.dsl.steps import Step

SkipMode = Literal["fail", "skip", "skip-cascade", "skip_cascade"]
MODES = ("fail", "skip", "skip-cascade")
OPTIONS = ("only_if", "unless", "when_unmet", "when_exhausted")


@dataclass(frozen=True)
class Completed:
    """That a dependency ran, and was not skipped; see ``completed``."""

    step: Step[..., Any] | str


def completed(step: Step[..., Any] | str) -> Completed:
    """Return a condition for ``only_if=`` or ``unless=``: that a dependency was completed, and not skipped.

    Args:
        step: A dependency of the step, which returns a dict or a list and is annotated so: what it returns is compared
            with an empty one, and no such comparison fits all numbers or texts.
    """
    return Completed(step)


Condition = Mapping[str, Any] | Completed


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """When a step runs.

    Attributes:
        required: JSON text of an object that must be contained in what is tested, or None.
        forbidden: JSON text of an object that must not be, or None.
        when_unmet: What follows otherwise: ``"fail"``, ``"skip"`` or ``"skip-cascade"``.
        when_exhausted: What follows when a task has used up its attempts: the same words.

    Tested is the run's input for a step without dependencies, else an object with the outputs of the completed ones.
    """

    required: str | None = None
    forbidden: str | None = None
    when_unmet: str = "skip"
    when_exhausted: str = "fail"

    @property
    def exist(self) -> bool:
        """Whether there is a condition at all."""
        return self.required is not None or self.forbidden is not None

    @property
    def needed(self) -> frozenset[str]:
        """Slugs of the dependencies without whose output the step does not run."""
        return frozenset(json.loads(self.required)) if self.required is not None else frozenset()

    def modes(self) -> set[str]:
        """Return what can happen to the step besides being completed."""
        return {self.when_exhausted, *((self.when_unmet,) if self.exist else ())}


def read(
    given: Mapping[str, Any],
    *,
    depends_on: tuple[str, ...],
    before: Mapping[str, Step[..., Any]],
    is_map: bool,
    owner: str,
    location: str,
) -> Conditions:
    """Make conditions of the arguments of a decorator.

    Args:
        given: Any of OPTIONS.
        depends_on: The step's dependencies.
        before: The flow's steps so far, by slug.
        is_map: Whether it is a map.
        owner: For the messages: ``"step 'load'"``.
        location: ``"file:line"`` of the declaration.

    Raises:
        FlowDefinitionError: E012, a mode is unknown or has no use; E013, a condition is no JSON object, or can never
            be met; E014, it names no dependency; E015, completed() of a step whose output is no dict or list.
    """

    def error(check_id: str, message: str) -> exceptions.FlowDefinitionError:
        return exceptions.FlowDefinitionError(message, location=location, check_id=f"pgflow.{check_id}")

    def pattern(option: str) -> str | None:
        condition = given.get(option)
        if condition is None:
            return None
        if is_map and not depends_on:
            raise error(
                "E013",
                f"{option}= of {owner}: it maps over the flow's input, which is a list, and no object is contained in "
                "a list. Put the condition on an array step before it.",
            )
        if isinstance(condition, Completed):
            condition = _expand(condition, option, depends_on, before, owner, error)
        if not isinstance(condition, Mapping) or not all(isinstance(key, str) for key in condition):
            raise error(
                "E013", f"{option}= of {owner} is {condition!r}. Give a dict with text keys, or completed(step)."
            )
        for key in condition if depends_on else ():
            _check_dependency(key, option, depends_on, owner, error)
        try:
            return codec.dumps(dict(condition), encoder=DjangoJSONEncoder)
        except exceptions.NotSerializable as fault:
            raise error("E013", f"{option}= of {owner} is no JSON object. {fault}") from fault

    def mode(option: str, default: str) -> str:
        value = given.get(option, default)
        found = value.replace("_", "-") if isinstance(value, str) else value
        if found not in MODES:
            raise error("E012", f"{option}={value!r} of {owner}: give one of {', '.join(map(repr, MODES))}.")
        return str(found)

    conditions = Conditions(
        required=pattern("only_if"),
        forbidden=pattern("unless"),
        when_unmet=mode("when_unmet", "skip"),
        when_exhausted=mode("when_exhausted", "fail"),
    )
    if "when_unmet" in given and not conditions.exist:
        raise error("E012", f"when_unmet= of {owner} has no use without a condition: give only_if= or unless=, too.")
    return conditions


def canonical(pattern: str | None) -> str | None:
    """Return JSON text such that equal patterns are equal texts, whatever wrote them."""
    if pattern is None:
        return None
    value = json.loads(pattern, parse_int=Decimal, parse_float=Decimal)
    # A text cannot hold NUL, so that no list of the pattern's own looks like a number.
    return json.dumps(value, sort_keys=True, default=lambda number: ["\0", *number.as_integer_ratio()])


def skippable(steps: Mapping[str, Step[..., Any]]) -> set[str]:
    """Return the slugs of the steps that a run may skip and yet go on.

    That a handler raises SkipStep is seen where its code names it.
    """
    found: set[str] = set()
    cascading: set[str] = set()
    for slug, step in steps.items():
        modes = step.conditions.modes()
        if cascading.intersection(step.depends_on) or "skip-cascade" in modes:
            cascading.add(slug)
        if slug in cascading or "skip" in modes or "SkipStep" in _names(step.func):
            found.add(slug)
    return found


def _names(func: Any) -> tuple[str, ...]:
    code = getattr(func, "__code__", None)
    return code.co_names if code is not None else ()


def _expand(
    condition: Completed,
    option: str,
    depends_on: tuple[str, ...],
    before: Mapping[str, Step[..., Any]],
    owner: str,
    error: Callable[[str, str], exceptions.FlowDefinitionError],
) -> dict[str, Any]:
    """Return the pattern that the output of a completed dependency contains."""
    slug = condition.step if isinstance(condition.step, str) else getattr(condition.step, "slug", repr(condition.step))
    _check_dependency(slug, option, depends_on, owner, error)
    step = before[slug]
    shape = "list" if step.kind in ("array", "map") else step.signature.returns
    if shape == "list":
        return {slug: []}
    if shape == "dict":
        return {slug: {}}
    raise error(
        "E015",
        f"{option}=completed({slug!r}) of {owner}: it is unknown that {slug!r} returns a dict or a list. Annotate it "
        "(`-> dict`), or let it return one: whether a number or a text is there cannot be asked.",
    )


def _check_dependency(
    slug: str,
    option: str,
    depends_on: tuple[str, ...],
    owner: str,
    error: Callable[[str, str], exceptions.FlowDefinitionError],
) -> None:
    if slug not in depends_on:
        raise error(
            "E014",
            f"{option}= of {owner}: {slug!r} is not among its dependencies, "
            f"{', '.join(depends_on) or 'of which it has none'}.{slugs.did_you_mean(slug, depends_on)} "
            "A condition is about the outputs of dependencies, by slug; of a step without any, about the flow's input.",
        )
