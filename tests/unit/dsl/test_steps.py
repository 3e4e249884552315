"""Steps made by decorators: kinds, dependencies, options."""

from __future__ import annotations

import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from django_pgflow import Flow
from django_pgflow.dsl.steps import ArrayStep, MapStep, Step
from tests.testapp import flows


def test_a_step_called_is_the_plain_function() -> None:
    assert flows.second(41) == 42
    assert flows.hello.__name__ == "hello"
    assert flows.hello.__doc__ == "Greet somebody by name."
    assert list(inspect.signature(flows.bottom).parameters) == ["left", "right"]


def test_decorators_work_with_and_without_parentheses_and_on_given_functions() -> None:
    def given(flow_input: Any) -> int:
        return 1

    flow = Flow("f")

    @flow.step
    def bare() -> None: ...

    @flow.step()
    def called() -> None: ...

    @flow.array(slug="renamed")
    def original() -> None: ...

    flow.step(given, slug="taken_over", timeout=9)
    assert list(flow.steps) == ["bare", "called", "renamed", "taken_over"]
    assert [step.kind for step in flow.steps.values()] == ["single", "single", "array", "single"]
    assert flow.steps["taken_over"].func is given
    assert flow.steps["taken_over"].timeout == 9


def test_dependencies_are_parameter_names_then_depends_on() -> None:
    assert flows.diamond.steps["bottom"].depends_on == ("left", "right")
    assert flows.ordered.steps["dry"].depends_on == ("wash",)
    flow = Flow("f")

    @flow.step
    def a() -> None: ...

    @flow.step
    def b() -> None: ...

    @flow.step(depends_on=["b", a, b])
    def c(a: None) -> None: ...

    assert c.depends_on == ("a", "b")


def test_kinds() -> None:
    assert (type(flows.hello), flows.hello.kind, flows.hello.step_type) == (Step, "single", "single")
    assert (type(flows.numbers), flows.numbers.kind, flows.numbers.step_type) == (ArrayStep, "array", "single")
    assert (type(flows.square), flows.square.kind, flows.square.step_type) == (MapStep, "map", "map")
    assert flows.square.depends_on == ("numbers",)
    assert flows.double.depends_on == ()
    assert flows.root_map.root_maps == ["double"]
    assert flows.fan_out.root_maps == []


def test_a_map_may_run_over_a_map_named_by_slug() -> None:
    flow = Flow("f")

    @flow.map
    def first(one: int) -> int:
        return one

    @flow.map(over="first")
    def second(two: int) -> int:
        return two

    assert second.depends_on == ("first",)


def test_a_step_annotated_to_return_a_list_is_an_array_step() -> None:
    flow = Flow("f")

    @flow.step
    def numbers() -> list[int]:
        return []

    @flow.step
    def maybe() -> list[int] | None:
        return None

    assert numbers.kind == "array"
    assert maybe.kind == "single"


def test_is_async_and_wants_flow_input() -> None:
    assert flows.wait_a_little.is_async
    assert flows.shout.is_async
    assert not flows.hello.is_async
    assert flows.double.wants_flow_input
    assert not flows.square.wants_flow_input
    assert not flows.hello.wants_flow_input


def test_options_are_whole_seconds_and_none_if_unsaid() -> None:
    flow = Flow("f", max_attempts=1, base_delay=0, timeout=timedelta(minutes=2), verbose_name="F")

    @flow.step(max_attempts=6, base_delay=timedelta(0), timeout=3, start_delay=timedelta(days=1))
    def a() -> None: ...

    @flow.step
    def b() -> None: ...

    assert (flow.options.max_attempts, flow.options.base_delay, flow.options.timeout) == (1, 0, 120)
    assert flow.verbose_name == "F"
    assert (a.max_attempts, a.base_delay, a.timeout, a.start_delay) == (6, 0, 3, 86400)
    assert (b.max_attempts, b.base_delay, b.timeout, b.start_delay) == (None, None, None, None)


def test_location_is_file_and_line() -> None:
    line = inspect.getsourcelines(flows.hello.func)[1]
    assert flows.hello.location == f"{flows.__file__}:{line}"
    path, _, number = flows.greet.location.rpartition(":")
    assert path == flows.__file__
    assert 'Flow("greet"' in Path(path).read_text().splitlines()[int(number) - 1]
    assert flows.greet.module == "tests.testapp.flows"


def test_the_graph_has_levels_and_leaves() -> None:
    graph = flows.diamond.graph
    assert graph.levels == [["top"], ["left", "right"], ["bottom"]]
    assert graph.leaves == ["bottom"]


@pytest.mark.parametrize("slug", ["a", "A_1", "_x", "a" * 47])
def test_slugs_that_are_fine(slug: str) -> None:
    assert Flow(slug).slug == slug
