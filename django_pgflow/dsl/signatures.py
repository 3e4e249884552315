"""Parameter names of a handler -> dependencies and reserved arguments."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from asgiref.sync import iscoroutinefunction

from django_pgflow import exceptions
from django_pgflow.dsl import slugs

OF_SINGLE_STEPS = ("flow_input", "input", "deps", "ctx")
OF_MAP_STEPS = ("flow_input", "ctx")


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One parameter of a handler and what it gets.

    Attributes:
        name: The parameter.
        source: A reserved name (``"item"`` for the element of a map, whatever the parameter is called), or
            ``"dep"``: the output of the step that the parameter is named after.
        positional: Whether it is passed by position.
        default: What to pass if there is nothing else; ``inspect.Parameter.empty`` if there is no default.
    """

    name: str
    source: str
    positional: bool
    default: Any

    @property
    def has_default(self) -> bool:
        """Whether the parameter may be left out."""
        return self.default is not inspect.Parameter.empty

    def pass_on(self, value: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Put a value where the handler expects this argument."""
        if self.positional:
            args.append(value)
        else:
            kwargs[self.name] = value


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a handler asks for.

    Attributes:
        arguments: Its parameters.
        is_async: Whether it is a coroutine function.
        returns: ``"list"`` or ``"dict"`` if it is annotated to return one, else ``""``.
    """

    arguments: tuple[Argument, ...]
    is_async: bool
    returns: str

    @property
    def returns_list(self) -> bool:
        """Whether it is annotated to return a list."""
        return self.returns == "list"

    @property
    def dependencies(self) -> list[str]:
        """Slugs of the steps whose outputs are parameters, in their order."""
        return [argument.name for argument in self.arguments if argument.source == "dep"]

    def asks_for(self, source: str) -> bool:
        """Return whether a parameter gets this."""
        return any(argument.source == source for argument in self.arguments)


def location(func: Any) -> str:
    """Return ``"file:line"`` of a handler, the first decorator's line if it has some."""
    return exceptions.location_of(inspect.unwrap(func)) if callable(func) else ""


def read(func: Callable[..., Any], *, is_map: bool, steps: Collection[str], owner: str) -> Signature:
    """Read the signature of a handler.

    Args:
        func: The function that the decorator got.
        is_map: Whether one parameter is the element of an array.
        steps: Slugs of the steps that stand before this one in the flow.
        owner: For the messages: ``"step 'load'"``.

    Raises:
        FlowDefinitionError: E006, a parameter is neither a step nor a reserved name; E018, it is no plain function.
    """
    _check_kind(func, owner)
    signature = _signature(func)
    parameters = list(signature.parameters.values())
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise _error(
                func,
                "E006",
                f"The handler of {owner} has a parameter {stars}{parameter.name}: name each dependency"
                + ("." if is_map else ", or take `deps`, a dict of all."),
            )
    element = _element(func, parameters, owner) if is_map else None
    arguments = [
        Argument(
            name=parameter.name,
            source=_source(func, parameter.name, element, steps, owner),
            positional=parameter.kind is parameter.POSITIONAL_ONLY
            or (parameter.name == element and parameter.kind is parameter.POSITIONAL_OR_KEYWORD),
            default=parameter.default,
        )
        for parameter in parameters
    ]
    return Signature(
        arguments=tuple(arguments),
        is_async=iscoroutinefunction(func),
        returns=_returns(signature.return_annotation, func),
    )


def _check_kind(func: Any, owner: str) -> None:
    inner = inspect.unwrap(func) if callable(func) else func
    problem = ""
    if isinstance(func, type) or not inspect.isfunction(inner):
        problem = f"is {func!r}, not a function"
    elif inner.__name__ == "<lambda>":
        problem = "is a lambda"
    elif "." in inner.__qualname__.rpartition("<locals>.")[2]:
        problem = f"is a method, {inner.__qualname__}"
    elif inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        problem = "is a generator: it yields. Return a list instead. It"
    if problem:
        raise _error(
            func, "E018", f"The handler of {owner} {problem}; write a function with `def` or `async def` in the module."
        )


def _element(func: Callable[..., Any], parameters: list[inspect.Parameter], owner: str) -> str:
    """Return the parameter of a map step that gets the element: ``item``, or else the first positional one."""
    if any(parameter.name == "item" for parameter in parameters):
        return "item"
    positional = [parameter for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    if not positional or positional[0].name in (*OF_MAP_STEPS, "deps"):
        raise _error(
            func,
            "E006",
            f"The handler of the map {owner} has no parameter for the element of the array. Put one first, "
            "under any name that is not reserved, or call it `item`.",
        )
    return positional[0].name


def _source(func: Callable[..., Any], name: str, element: str | None, steps: Collection[str], owner: str) -> str:
    if element is not None:
        if name == element:
            return "item"
        if name in OF_MAP_STEPS:
            return name
        hint = slugs.did_you_mean(name, OF_MAP_STEPS)
        raise _error(
            func,
            "E006",
            f"The parameter {name!r} of the map {owner}: besides the element, {element!r}, a map takes only "
            f"{' and '.join(OF_MAP_STEPS)}.{hint}"
            + (f" To use the output of {name!r}, put an array step between." if name in steps else ""),
        )
    if name in OF_SINGLE_STEPS:
        return name
    if name in steps:
        return "dep"
    if name == "item":
        problem = "is what a map step calls its element, and this is no map."
    else:
        problem = (
            f"is neither an earlier step nor a reserved name.{slugs.did_you_mean(name, [*steps, *OF_SINGLE_STEPS])}"
        )
    raise _error(
        func,
        "E006",
        f"The parameter {name!r} of {owner} {problem} Earlier steps: {', '.join(steps) or 'none'}; "
        f"reserved: {', '.join(OF_SINGLE_STEPS)}.",
    )


def _signature(func: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        # Annotations are evaluated when they are asked for there, and may name what only a type checker imports.
        import annotationlib

        return inspect.signature(func, annotation_format=annotationlib.Format.STRING)
    return inspect.signature(func)


def _returns(annotation: Any, func: Callable[..., Any]) -> str:
    """Return ``"list"`` or ``"dict"`` for such an annotation, written as a string, too; else ``""``."""
    if isinstance(annotation, str):
        try:
            node: ast.expr = ast.parse(annotation, mode="eval").body
        except SyntaxError:
            return ""
        name = ast.unparse(node.value if isinstance(node, ast.Subscript) else node).rpartition(".")[2]
        # A TypedDict goes by a name of its own.
        annotation = {"List": list, "Dict": dict}.get(name) or getattr(inspect.unwrap(func), "__globals__", {}).get(
            name, {"list": list, "dict": dict}.get(name)
        )
    origin = getattr(annotation, "__origin__", annotation)
    if origin is list:
        return "list"
    return "dict" if isinstance(origin, type) and issubclass(origin, dict) else ""


def _error(func: Any, check_id: str, message: str) -> exceptions.FlowDefinitionError:
    return exceptions.FlowDefinitionError(message, location=location(func), check_id=f"pgflow.{check_id}")
