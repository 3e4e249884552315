"""Each mistake in a declaration is named, with an id, and with the file and line of the handler or flow."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from django_pgflow import Flow, exceptions


def declare(body: str) -> None:
    """Execute a flows.py in which the flow ``f`` has the steps ``load`` and, an array, ``lines``."""
    source = """
from django_pgflow import Flow
f = Flow("f")
@f.step
def load(flow_input): ...
@f.array
def lines(flow_input): ...
"""
    exec(compile(source + textwrap.dedent(body), "/app/flows.py", "exec"), {"__name__": "app.flows"})


CASES: list[tuple[str, int, str, str]] = [
    # id, line, what the message says, source; the first line of the source is line 8
    ("E001", 8, "'no-dash' cannot be the slug of a flow", 'Flow("no-dash")'),
    ("E001", 8, "'' cannot be the slug", 'Flow("")'),
    ("E001", 8, "'1st' cannot be", 'Flow("1st")'),
    ("E001", 8, "'émile' cannot be", 'Flow("émile")'),
    ("E001", 8, "'a\\n' cannot be", 'Flow("a\\n")'),
    ("E001", 8, "None cannot be", "Flow(None)"),
    ("E002", 8, "48 characters; 47 is the most", 'Flow("a" * 48)'),
    ("E004", 8, "'run' cannot be", 'Flow("run")'),
    ("E005", 8, "two flows 'f'; the other stands at /app/flows.py:3", 'Flow("f")'),
    ("E003", 8, "two flows 'F' and 'f', which would share one queue", 'Flow("F")'),
    ("E012", 8, "Flow 'g' has no option 'max_attempt'. Did you mean 'max_attempts'?", 'Flow("g", max_attempt=3)'),
    ("E012", 8, "timeout=2 of flow 'g' is too small", 'Flow("g", timeout=2)'),
    ("E012", 8, "worker_concurrency=0 of flow 'g' is too small. Give a whole number from 1",
     'Flow("g", worker_concurrency=0)'),
    ("E012", 8, "worker_concurrency='2' of step 'a' is no whole number. Give",
     '@f.step(worker_concurrency="2")\ndef a(): ...'),
    ("E012", 8, "worker_concurrency=-1 of step 'a' is too small", "@f.map(worker_concurrency=-1)\ndef a(n): ..."),
    ("E012", 8, "concurrency_limit=0 of step 'a' is too small", "@f.step(concurrency_limit=0)\ndef a(): ..."),
    ("E012", 8, "concurrency_limit=1.5 of step 'a' is no whole number. Give",
     "@f.step(concurrency_limit=1.5)\ndef a(): ..."),
    ("E012", 8, "concurrency_key='x' of step 'a': it goes with concurrency_limit=, the number",
     '@f.step(concurrency_key="x")\ndef a(): ...'),
    ("E012", 8, "concurrency_key='x..y' of step 'a': give a dotted path into the run's input",
     '@f.step(concurrency_limit=1, concurrency_key="x..y")\ndef a(): ...'),
    ("E012", 8, "concurrency_key='' of step 'a': give a dotted path",
     '@f.step(concurrency_limit=1, concurrency_key="")\ndef a(): ...'),
    ("E012", 8, "concurrency_key=['x'] of step 'a': give a dotted path",
     '@f.step(concurrency_limit=1, concurrency_key=["x"])\ndef a(): ...'),
    ("E001", 8, "'no dash' cannot be the slug of a step", '@f.step(slug="no dash")\ndef a(): ...'),
    ("E002", 8, "129 characters; 128 is the most", '@f.step(slug="a" * 129)\ndef a(): ...'),
    ("E004", 8, "'run' cannot be the slug of a step", "@f.step\ndef run(): ..."),
    ("E004", 8, "'flow_input' cannot be the slug of a step", "@f.step\ndef flow_input(): ..."),
    ("E004", 8, "'ctx' cannot be the slug of a step", '@f.step(slug="ctx")\ndef a(): ...'),
    ("E005", 8, "two steps 'load'; the other stands at /app/flows.py:4", "@f.step\ndef load(): ..."),
    ("E006", 8, "'lods' of step 'a' is neither an earlier step nor a reserved name. Did you mean 'load'?",
     "@f.step\ndef a(lods): ..."),
    ("E006", 8, "Did you mean 'flow_input'?", "@f.step\ndef a(flowinput): ..."),
    ("E006", 8, "'other' of step 'a' is neither", "@f.step\ndef a(other=None): ..."),
    ("E006", 8, "'a' of step 'a' is neither", "@f.step\ndef a(a): ..."),
    ("E006", 8, "what a map step calls its element", "@f.step\ndef a(item): ..."),
    ("E006", 8, "has a parameter *args", "@f.step\ndef a(*args): ..."),
    ("E006", 8, "has a parameter **kw: name each dependency, or take `deps`", "@f.step\ndef a(**kw): ..."),
    ("E006", 8, "has no parameter for the element", "@f.map\ndef a(): ..."),
    ("E006", 8, "has no parameter for the element", "@f.map\ndef a(ctx, one): ..."),
    ("E006", 8, "a map takes only flow_input and ctx. To use the output of 'load'",
     "@f.map(over=lines)\ndef a(one, load): ..."),
    ("E006", 8, "a map takes only flow_input and ctx", "@f.map(over=lines)\ndef a(one, deps): ..."),
    ("E006", 8, "depends_on= of step 'a': 'lode' is no earlier step. Did you mean 'load'?",
     '@f.step(depends_on=["lode"])\ndef a(): ...'),
    ("E006", 8, "give a list of steps or slugs, not 'load'", '@f.step(depends_on="load")\ndef a(): ...'),
    ("E006", 8, "give a list of steps or slugs, not <Step f.load>", "@f.step(depends_on=load)\ndef a(): ..."),
    ("E006", 10, "'x' is a step of another flow, 'g'",
     'g = Flow("g")\nx = g.step(slug="x")(load.func)\n@f.step(depends_on=[x])\ndef a(): ...'),
    ("E006", 9, "is neither a step nor a slug. Is it decorated?",
     "def plain(): ...\n@f.step(depends_on=[plain])\ndef a(): ..."),
    ("E010", 8, "can depend on the one step that it maps over", "@f.map(over=lines, depends_on=[load])\ndef a(x): ..."),
    ("E010", 8, "write over= instead of depends_on=", "@f.map(depends_on=[lines])\ndef a(x): ..."),
    ("E010", 8, "a map runs over one step", "@f.map(over=[lines, load])\ndef a(x): ..."),
    ("E011", 8, "cannot run over 'load'", "@f.map(over=load)\ndef a(x): ..."),
    ("E006", 8, "over= of step 'a': 'line' is no earlier step. Did you mean 'lines'?",
     '@f.map(over="line")\ndef a(x): ...'),
    ("E012", 8, "Step 'a' has no option 'timout'. Did you mean 'timeout'?", "@f.step(timout=5)\ndef a(): ..."),
    ("E012", 8, "executor= of step 'a': 3 is no name", "@f.step(executor=3)\ndef a(): ..."),
    ("E019", 8, "an `async def` handler runs on the worker's event loop",
     "@f.step(executor='processes')\nasync def a(): ..."),
    ("E012", 8, "Step 'a' has no option 'over'", "@f.step(over=lines)\ndef a(): ..."),
    ("E012", 8, "atomic=1 of step 'a': give True or False", "@f.step(atomic=1)\ndef a(): ..."),
    ("E017", 8, "The handler of step 'a' is `async def`", "@f.step(atomic=True)\nasync def a(): ..."),
    ("E017", 9, "or say atomic=False", 'g = Flow("g", atomic=True)\n@g.step\nasync def a(): ...'),
    ("E018", 8, "is a lambda", 'f.step(lambda: 1, slug="a")'),
    ("E018", 8, "is a generator", "@f.step\ndef a():\n    yield 1"),
    ("E018", 8, "is a generator", "@f.step\nasync def a():\n    yield 1"),
    ("E018", 9, "is a method, A.a", "class A:\n    @f.step\n    def a(self): ..."),
]  # fmt: skip


@pytest.mark.parametrize(("check_id", "line", "said", "source"), CASES)
def test_the_mistake_is_named_with_its_place(check_id: str, line: int, said: str, source: str) -> None:
    with pytest.raises(exceptions.FlowDefinitionError) as caught:
        declare(source)
    assert str(caught.value).startswith(f"/app/flows.py:{line}: ")
    assert said in str(caught.value)
    assert caught.value.check_id == f"pgflow.{check_id}"
    assert caught.value.location == f"/app/flows.py:{line}"


@pytest.mark.parametrize("name", ["max_attempts", "base_delay", "timeout", "start_delay"])
@pytest.mark.parametrize("value", [-1, 1.5, 60.0, "60", True, 10**12, timedelta(seconds=1.5), timedelta(seconds=-1)])
def test_options_that_cannot_be(name: str, value: Any) -> None:
    flow = Flow("f")
    options: dict[str, Any] = {name: value}
    with pytest.raises(exceptions.FlowDefinitionError, match=f"{name}=.* of step 'a' (is|has)") as caught:

        @flow.step(**options)
        def a() -> None: ...

    assert caught.value.check_id == "pgflow.E012"
    assert flow.steps == {}


def test_attempts_are_no_duration_and_begin_with_one() -> None:
    for value in (0, timedelta(seconds=3)):
        with pytest.raises(exceptions.FlowDefinitionError, match="max_attempts"):
            Flow("f", max_attempts=value)  # type: ignore[arg-type]


class Callback:
    def __call__(self) -> None: ...

    def method(self) -> None: ...


@pytest.mark.parametrize("handler", [Callback(), Callback().method, Callback, functools.partial(print), 5])
def test_a_handler_is_a_function(handler: Callable[..., Any]) -> None:
    with pytest.raises(exceptions.FlowDefinitionError, match="not a function") as caught:
        Flow("f").step(handler, slug="a")
    assert caught.value.check_id == "pgflow.E018"


def test_a_decorated_handler_is_seen_through() -> None:
    def decorator(func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return func(*args, **kwargs)

        return wrapper

    flow = Flow("f")

    @flow.step
    def a() -> int:
        return 1

    @flow.step
    @decorator
    def b(a: int) -> int:
        return a + 1

    assert b.depends_on == ("a",)
    assert b.location.startswith(str(Path(__file__)))
    assert b(1) == 2
