"""A flow as a value: slug, options, steps in order. It starts nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypedDict, Unpack, overload

from django_pgflow.dsl import options, slugs, steps
from django_pgflow.dsl.steps import P, R
from django_pgflow.graph import topology


class FlowOptions(TypedDict, total=False):
    """What ``Flow`` takes besides its slug.

    Attributes:
        max_attempts, base_delay, timeout: As in ``options.Options``; by default ``PGFLOW["DEFAULTS"]``.
        atomic: What its steps do that do not say: see ``steps.StepOptions``; by default they are not.
        worker_concurrency: Tasks of the flow that one worker process has in hand at a time, at most.
        verbose_name: A name for people.
    """

    max_attempts: int | None
    base_delay: options.Seconds | None
    timeout: options.Seconds | None
    atomic: bool
    worker_concurrency: int | None
    verbose_name: str


class FlowDefinition:
    """A DAG of steps.

    Its decorators ``step``, ``array`` and ``map`` stand with or without parentheses and take what ``steps.StepOptions``
    lists, ``map`` also ``over=``. They return a ``Step``, which is called like the function. A step's dependencies are
    its parameters that bear the name of an earlier step; the reserved ones are ``flow_input``, ``input``, ``deps``,
    ``ctx`` and, in maps, ``item``.

    Args:
        slug: The name of the flow and of its queue; at most 47 characters.
        options: Keys of FlowOptions.

    Raises:
        FlowDefinitionError: Something is wrong; the message begins with file and line. The decorators raise it, too.

    Attributes:
        slug: The name.
        options: Its own options; None is the project's default.
        atomic: Whether its steps are, unless they say otherwise.
        worker_concurrency: Tasks of the flow in one worker process, at most; None for any number.
        verbose_name: A name for people, or ``""``.
        steps: The steps by slug, dependencies first.
        location: ``"file:line"`` of the declaration.
        module: Dotted name of the module that declares it.
    """

    def __init__(self, slug: str, **options: Unpack[FlowOptions]) -> None:
        self.location, self.module = _declaration()
        self._read(slug, dict(options))
        self.steps: dict[str, steps.Step[..., Any]] = {}

    def _read(self, slug: str, given: dict[str, Any]) -> None:
        self.slug = slugs.check_flow_slug(slug, location=self.location)
        owner = f"flow {slug!r}"
        options.refuse_unknown(
            given, FlowOptions.__annotations__, owner=owner[0].upper() + owner[1:], location=self.location
        )
        self.verbose_name: str = given.pop("verbose_name", "")
        self.atomic: bool = given.pop("atomic", False)
        self.worker_concurrency = options.read_count(
            "worker_concurrency", given.pop("worker_concurrency", None), owner=owner, location=self.location
        )
        self.options = options.read(given, owner=owner, location=self.location)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.slug}>"

    @property
    def graph(self) -> topology.Graph:
        """The steps as a graph."""
        return topology.Graph.of({slug: step.depends_on for slug, step in self.steps.items()})

    @property
    def root_maps(self) -> list[str]:
        """Slugs of the steps that map over the flow's input."""
        return [step.slug for step in self.steps.values() if isinstance(step, steps.MapStep) and step.is_root]

    @overload
    def step(self, func: Callable[P, R], /, **options: Unpack[steps.StepOptions]) -> steps.Step[P, R]: ...

    @overload
    def step(
        self, func: None = None, /, **options: Unpack[steps.StepOptions]
    ) -> Callable[[Callable[P, R]], steps.Step[P, R]]: ...

    def step(self, func: Any = None, /, **options: Any) -> Any:
        """Add a step that has one task."""
        return self._decorate(steps.Step, func, options)

    @overload
    def array(self, func: Callable[P, R], /, **options: Unpack[steps.StepOptions]) -> steps.Step[P, R]: ...

    @overload
    def array(
        self, func: None = None, /, **options: Unpack[steps.StepOptions]
    ) -> Callable[[Callable[P, R]], steps.Step[P, R]]: ...

    def array(self, func: Any = None, /, **options: Any) -> Any:
        """Add a step that has one task and returns a list, for a map to run over."""
        return self._decorate(steps.ArrayStep, func, options)

    @overload
    def map(self, func: Callable[P, R], /, **options: Unpack[steps.MapOptions]) -> steps.Step[P, R]: ...

    @overload
    def map(
        self, func: None = None, /, **options: Unpack[steps.MapOptions]
    ) -> Callable[[Callable[P, R]], steps.Step[P, R]]: ...

    def map(self, func: Any = None, /, **options: Any) -> Any:
        """Add a step that has a task for each element of an array: the output of ``over``, or the flow's input.

        The element is the first positional parameter of the handler, whatever its name.
        """
        return self._decorate(steps.MapStep, func, options)

    def _decorate(self, cls: type[steps.Step[..., Any]], func: Any, given: dict[str, Any]) -> Any:
        def add(func: Any) -> steps.Step[..., Any]:
            told = {"atomic": self.atomic, **given}
            step = steps.make(cls, func, told, flow_slug=self.slug, before=self.steps)
            self.steps[step.slug] = step
            return step

        return add if func is None else add(func)


def _declaration() -> tuple[str, str]:
    """Return ``"file:line"`` and the module of the nearest caller outside this package."""
    frame = sys._getframe(1)
    package = __name__.partition(".")[0]
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}", frame.f_globals.get("__name__", "")
