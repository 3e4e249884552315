"""The steps of a flow, and the making of them from functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, ParamSpec, TypedDict, TypeVar

from django_pgflow import exceptions
from django_pgflow.dsl import codec, conditions, options, signatures, slugs
from django_pgflow.dsl.context import Context

P = ParamSpec("P")
R = TypeVar("R")


class StepOptions(TypedDict, total=False):
    """What the decorators take.

    Attributes:
        slug: The step's slug; by default the name of the function.
        depends_on: Steps, or their slugs, that must end before, besides those that parameters name.
        max_attempts, base_delay, timeout, start_delay: As in ``options.Options``; durations in seconds.
        only_if, unless: Conditions: dicts of which the first must be contained, as JSON, in the outputs of the
            dependencies by slug (without dependencies, in the flow's input), and the second must not; or
            ``completed(step)``.
        when_unmet: What follows where they are not met: ``"skip"`` (default), ``"skip-cascade"`` or ``"fail"``.
        when_exhausted: What follows when a task failed for good: ``"fail"`` (default), ``"skip"``, ``"skip-cascade"``.
        no_retry: Classes of exceptions after which another attempt would be in vain.
        executor: Where a ``def`` handler runs: ``"threads"`` (default), ``"processes"``, or a key of
            ``PGFLOW["EXECUTORS"]``.
        atomic: Whether the handler's writes and the completion of its task are one commit; by default as the flow says.
        worker_concurrency: Tasks of the step that one worker process has in hand at a time, at most.
        concurrency_limit: Tasks of the step that all workers together have in hand at a time, at most.
        concurrency_key: Dotted path into the run's input, ``"customer.id"``: the limit holds for each value there, of
            which a missing one is one.
    """

    slug: str
    depends_on: Sequence[Step[..., Any] | str]
    max_attempts: int | None
    base_delay: options.Seconds | None
    timeout: options.Seconds | None
    start_delay: options.Seconds | None
    only_if: conditions.Condition | None
    unless: conditions.Condition | None
    when_unmet: conditions.SkipMode
    when_exhausted: conditions.SkipMode
    no_retry: Sequence[type[BaseException]]
    executor: str | None
    atomic: bool | None
    worker_concurrency: int | None
    concurrency_limit: int | None
    concurrency_key: str | None


class MapOptions(StepOptions, total=False):
    """What the decorator of a map takes.

    Attributes:
        over: The array or map step whose output gives the elements; without it the flow's input does.
    """

    over: Step[..., Any] | str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Step(Generic[P, R]):
    """A node of a flow. Called, it is the plain function.

    Attributes:
        func: The handler.
        flow_slug: The flow that it belongs to.
        slug: Its name there.
        depends_on: Slugs of all steps that must end before, in order: those of parameters, then the others.
        options: Its own options; None is inherited from the flow.
        conditions: When it runs, and what follows if it does not.
        no_retry: Exceptions of the handler after which its task is not tried again.
        executor: Where the handler runs; None for the default.
        atomic: Whether the handler's writes and the completion of its task are one commit.
        worker_concurrency: Tasks of the step in one worker process, at most; None for any number.
        concurrency_limit: Tasks of the step in all workers, at most; None for any number.
        concurrency_key: Dotted path into the run's input, for each value at which the limit holds; None for all.
        signature: What the handler asks for.
        location: ``"file:line"`` of the handler.
    """

    kind: ClassVar[str] = "single"
    """``"single"``, ``"array"`` or ``"map"``: what the flow declares."""
    step_type: ClassVar[str] = "single"
    """``"single"`` or ``"map"``: what the database knows."""

    func: Callable[P, R]
    flow_slug: str
    slug: str
    depends_on: tuple[str, ...]
    options: options.Options
    conditions: conditions.Conditions
    no_retry: tuple[type[BaseException], ...]
    executor: str | None
    signature: signatures.Signature
    location: str
    atomic: bool = False
    worker_concurrency: int | None = None
    concurrency_limit: int | None = None
    concurrency_key: str | None = None

    def __post_init__(self) -> None:
        """Take over name and docstring of the function, so that tools see through to it."""
        names: dict[str, Any] = {name: getattr(self.func, name, None) for name in functools.WRAPPER_ASSIGNMENTS}
        vars(self).update(names, __wrapped__=self.func)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the handler."""
        return self.func(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.flow_slug}.{self.slug}>"

    @property
    def is_async(self) -> bool:
        """Whether the handler is a coroutine function."""
        return self.signature.is_async

    @property
    def max_attempts(self) -> int | None:
        """Tries of each task; None as the flow."""
        return self.options.max_attempts

    @property
    def base_delay(self) -> int | None:
        """Seconds; None as the flow."""
        return self.options.base_delay

    @property
    def timeout(self) -> int | None:
        """Seconds; None as the flow."""
        return self.options.timeout

    @property
    def start_delay(self) -> int | None:
        """Seconds; None for no delay."""
        return self.options.start_delay

    @property
    def wants_flow_input(self) -> bool:
        """Whether the handler asks for the run's input and its task does not bring it, as a map's does not."""
        return False

    def arguments(
        self, task_input: Any, *, context: Context, flow_input: Any = None
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return what to call the handler with.

        Args:
            task_input: ``{"run": <flow input>, "<dep>": <output>, ...}``; a skipped dependency has no key.
            context: The task, for a parameter ``ctx``.
            flow_input: The run's input, where ``task_input`` does not bring it.

        Raises:
            DependencySkipped: A dependency was skipped and its parameter has no default.
        """
        outputs = {slug: output for slug, output in task_input.items() if slug != "run"}
        values = {
            "flow_input": task_input.get("run", flow_input),
            "input": task_input,
            "deps": outputs,
            "ctx": context,
        }
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for argument in self.signature.arguments:
            if argument.source != "dep":
                value = values[argument.source]
            elif argument.name in outputs:
                value = outputs[argument.name]
            elif argument.has_default:
                value = argument.default
            else:
                raise exceptions.DependencySkipped(self.slug, argument.name)
            argument.pass_on(value, args, kwargs)
        return args, kwargs

    def encode_output(self, value: Any) -> str:
        """Return what the handler returned as JSON text.

        Raises:
            NotSerializable: It cannot be stored, or is not what this kind of step returns.
        """
        return codec.dumps(value)


class ArrayStep(Step[P, R]):
    """A step that returns a list, for a map to run over."""

    kind = "array"

    def encode_output(self, value: Any) -> str:
        """Return what the handler returned as JSON text; it must be a list or a tuple."""
        if not isinstance(value, list | tuple):
            raise exceptions.NotAList(self.slug, value)
        return super().encode_output(value)


class MapStep(Step[P, R]):
    """A step with one task for each element of an array."""

    kind = "map"
    step_type = "map"

    @property
    def wants_flow_input(self) -> bool:
        """Whether the handler asks for the run's input, which the task of a map does not bring."""
        return self.signature.asks_for("flow_input")

    @property
    def is_root(self) -> bool:
        """Whether it maps over the run's input."""
        return not self.depends_on

    def arguments(
        self, task_input: Any, *, context: Context, flow_input: Any = None
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return what to call the handler with; ``task_input`` is the element."""
        values = {"item": task_input, "flow_input": flow_input, "ctx": context}
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for argument in self.signature.arguments:
            argument.pass_on(values[argument.source], args, kwargs)
        return args, kwargs


def make(
    cls: type[Step[P, R]],
    func: Callable[P, R],
    given: Mapping[str, Any],
    *,
    flow_slug: str,
    before: Mapping[str, Step[..., Any]],
) -> Step[P, R]:
    """Make a step of a function and the arguments of its decorator.

    Args:
        cls: Step, ArrayStep or MapStep. A Step whose handler is annotated to return a list becomes an ArrayStep.
        func: The handler.
        given: Keys of StepOptions, for MapStep of MapOptions.
        flow_slug: The flow.
        before: The flow's steps so far, by slug.

    Raises:
        FlowDefinitionError: Something is wrong; the message begins with file and line.
    """
    place = signatures.location(func)
    is_map = issubclass(cls, MapStep)
    known = (MapOptions if is_map else StepOptions).__annotations__
    name = given.get("slug") or getattr(func, "__name__", repr(func))
    owner = f"step {name!r}"
    if "retries_exhausted" in given:
        raise TypeError(
            f"{place}: {owner} has no option 'retries_exhausted'; it is called when_exhausted: "
            f"when_exhausted={given['retries_exhausted']!r}."
        )
    options.refuse_unknown(given, known, owner=owner[0].upper() + owner[1:], location=place)
    signature = signatures.read(func, is_map=is_map, steps=before, owner=owner)
    slug = slugs.check_step_slug(name, location=place)
    if slug in before:
        raise exceptions.FlowDefinitionError(
            f"The flow {flow_slug!r} has two steps {slug!r}; the other stands at {before[slug].location}. "
            "Rename one, or give it a slug=.",
            location=place,
            check_id="pgflow.E005",
        )
    others = _slugs_of(given.get("depends_on") or (), "depends_on", owner, flow_slug, before, place)
    if is_map:
        dependencies = _source(given.get("over"), others, owner, flow_slug, before, place)
    else:
        dependencies = [*signature.dependencies, *others]
    if cls is Step and signature.returns_list:
        cls = ArrayStep
    depends_on = tuple(dict.fromkeys(dependencies))
    return cls(
        func=func,
        flow_slug=flow_slug,
        slug=slug,
        depends_on=depends_on,
        options=options.read({key: given[key] for key in options.LEAST if key in given}, owner=owner, location=place),
        conditions=conditions.read(
            {key: given[key] for key in conditions.OPTIONS if key in given},
            depends_on=depends_on,
            before=before,
            is_map=is_map,
            owner=owner,
            location=place,
        ),
        no_retry=_exceptions(given.get("no_retry") or (), owner, place),
        executor=_executor(given.get("executor"), signature, owner, place),
        signature=signature,
        location=place,
        atomic=_atomic(given.get("atomic"), signature, owner, place),
        worker_concurrency=options.read_count(
            "worker_concurrency", given.get("worker_concurrency"), owner=owner, location=place
        ),
        concurrency_limit=options.read_count(
            "concurrency_limit", given.get("concurrency_limit"), owner=owner, location=place
        ),
        concurrency_key=_concurrency_key(given.get("concurrency_key"), given.get("concurrency_limit"), owner, place),
    )


def _atomic(value: Any, signature: signatures.Signature, owner: str, place: str) -> bool:
    if not isinstance(value, bool | None):
        raise exceptions.FlowDefinitionError(
            f"atomic={value!r} of {owner}: give True or False.", location=place, check_id="pgflow.E012"
        )
    if value and signature.is_async:
        raise exceptions.FlowDefinitionError(
            f"The handler of {owner} is `async def`, and Django's transactions do not work in coroutines: "
            "write `def`, or say atomic=False.",
            location=place,
            check_id="pgflow.E017",
        )
    return bool(value)


def _concurrency_key(path: Any, limit: Any, owner: str, place: str) -> str | None:
    """Return the path of a key, of which the database asks nothing but that it has names, joined by dots."""
    if path is None:
        return None
    if not isinstance(path, str) or not all(path.split(".")):
        problem = 'give a dotted path into the run\'s input, as in concurrency_key="customer.id".'
    elif limit is None:
        problem = "it goes with concurrency_limit=, the number of tasks at a time for each value of the key."
    else:
        return path
    raise exceptions.FlowDefinitionError(
        f"concurrency_key={path!r} of {owner}: {problem}", location=place, check_id="pgflow.E012"
    )


def _exceptions(named: Any, owner: str, place: str) -> tuple[type[BaseException], ...]:
    """Return the classes that ``no_retry`` names: one, or several."""
    found = tuple(named) if isinstance(named, Collection) and not isinstance(named, str) else (named,)
    for one in found:
        if not isinstance(one, type) or not issubclass(one, BaseException):
            raise exceptions.FlowDefinitionError(
                f"no_retry= of {owner}: {one!r} is no class of exceptions. Give a list of classes.",
                location=place,
                check_id="pgflow.E012",
            )
    return found


def _executor(name: Any, signature: signatures.Signature, owner: str, place: str) -> str | None:
    """Return the name of an executor; whether there is one of that name, the settings say."""
    if name is None:
        return None
    if not isinstance(name, str) or not name:
        raise exceptions.FlowDefinitionError(
            f"executor= of {owner}: {name!r} is no name of an executor.", location=place, check_id="pgflow.E012"
        )
    if signature.is_async:
        raise exceptions.FlowDefinitionError(
            f"executor={name!r} of {owner}: an `async def` handler runs on the worker's event loop and nowhere else. "
            "Write it with `def`, or leave out executor=.",
            location=place,
            check_id="pgflow.E019",
        )
    return name


def _source(
    over: Any,
    others: list[str],
    owner: str,
    flow_slug: str,
    before: Mapping[str, Step[..., Any]],
    place: str,
) -> list[str]:
    """Return the one dependency of a map step in a list, or no dependency for a root map."""
    sources = _slugs_of([over], "over", owner, flow_slug, before, place) if over is not None else []
    if set(others) - set(sources):
        raise exceptions.FlowDefinitionError(
            f"The map {owner} can depend on the one step that it maps over, and on no other: "
            f"{', '.join([*sources, *others])}. "
            + (
                "Let an array step between depend on all of them."
                if sources or len(others) > 1
                else f"If it is to map over {others[0]!r}, write over= instead of depends_on=."
            ),
            location=place,
            check_id="pgflow.E010",
        )
    for source in sources:
        if before[source].kind == "single":
            raise exceptions.FlowDefinitionError(
                f"The map {owner} cannot run over {source!r}, which is neither an array step nor a map. "
                f"Declare {source!r} with @flow.array (or annotate it `-> list`), and let it return a list.",
                location=place,
                check_id="pgflow.E011",
            )
    return sources


def _slugs_of(
    named: Any,
    option: str,
    owner: str,
    flow_slug: str,
    before: Collection[str],
    place: str,
) -> list[str]:
    """Return the slugs of steps that an option names by Step or slug."""

    def error(reason: str, check_id: str = "pgflow.E006") -> exceptions.FlowDefinitionError:
        return exceptions.FlowDefinitionError(f"{option}= of {owner}: {reason}", location=place, check_id=check_id)

    if option == "over" and isinstance(named[0], list | tuple):
        raise error("a map runs over one step. Let an array step between join several.", "pgflow.E010")
    if isinstance(named, str | Step) or not isinstance(named, Sequence | Collection):
        raise error(f"give a list of steps or slugs, not {named!r}.")
    found = []
    for one in named:
        if isinstance(one, Step):
            if one.flow_slug != flow_slug:
                raise error(f"{one.slug!r} is a step of another flow, {one.flow_slug!r}.")
            slug = one.slug
        elif isinstance(one, str):
            slug = one
        else:
            raise error(f"{one!r} is neither a step nor a slug. Is it decorated?")
        if slug not in before:
            raise error(
                f"{slug!r} is no earlier step.{slugs.did_you_mean(slug, before)} "
                f"Earlier steps: {', '.join(before) or 'none'}."
            )
        found.append(slug)
    return found
