"""Conditions, ``when_exhausted`` and ``no_retry``: what a declaration means, and its mistakes."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import date
from decimal import Decimal
from typing import Any, TypedDict

import pytest

from django_pgflow import Flow, FlowDefinitionError, checks, completed, registry
from django_pgflow.dsl import conditions
from django_pgflow.dsl.conditions import Conditions


class Customer(TypedDict):
    name: str


def declare() -> Flow:
    """Make a flow with a step for each kind of output."""
    registry.unregister("f")
    flow = Flow("f")

    @flow.step
    def load(flow_input: Any) -> dict[str, Any]: ...

    @flow.step
    def price(flow_input: Any) -> int: ...

    @flow.step
    def unknown(flow_input): ...  # type: ignore[no-untyped-def]

    @flow.array
    def lines(flow_input: Any) -> Any: ...

    @flow.map(over=lines)
    def each(line: Any) -> Any: ...

    return flow


def step(flow: Flow, *depends_on: str, **options: Any) -> Conditions:
    """Add a step and return its conditions."""
    return flow.step(lambda_free, slug="a", depends_on=depends_on, **options).conditions


def lambda_free() -> None: ...


def test_without_conditions_a_step_runs_and_fails_its_run() -> None:
    assert step(Flow("f")) == Conditions(required=None, forbidden=None, when_unmet="skip", when_exhausted="fail")


def test_a_condition_is_json() -> None:
    found = step(declare(), "load", only_if={"load": {"on": date(2030, 1, 2), "sum": Decimal("1.50")}})
    assert json.loads(str(found.required)) == {"load": {"on": "2030-01-02", "sum": "1.50"}}
    assert found.forbidden is None
    assert found.needed == {"load"}


def test_both_conditions_are_kept() -> None:
    found = step(declare(), "load", "price", only_if={"load": {"a": 1}}, unless={"price": 0}, when_unmet="fail")
    assert (found.required, found.forbidden, found.when_unmet) == ('{"load": {"a": 1}}', '{"price": 0}', "fail")


def test_the_flows_input_may_have_any_keys() -> None:
    assert step(Flow("f"), only_if={"anything": True}).required == '{"anything": true}'


@pytest.mark.parametrize("written", ["skip-cascade", "skip_cascade"])
def test_underscores_are_accepted(written: Any) -> None:
    found = step(Flow("f"), unless={"a": 1}, when_unmet=written, when_exhausted=written)
    assert (found.when_unmet, found.when_exhausted) == ("skip-cascade", "skip-cascade")


@pytest.mark.parametrize(
    ("slug", "pattern"),
    [("load", {"load": {}}), ("lines", {"lines": []}), ("each", {"each": []})],
)
def test_completed_is_expanded_by_the_kind_of_output(slug: str, pattern: Any) -> None:
    flow = declare()
    assert json.loads(str(step(flow, slug, unless=completed(slug)).forbidden)) == pattern
    flow = declare()
    assert json.loads(str(step(flow, slug, only_if=completed(flow.steps[slug])).required)) == pattern


@pytest.mark.parametrize(
    ("annotation", "shape"),
    [
        (dict, "dict"), (dict[str, int], "dict"), ("dict", "dict"), ("Dict[str, int]", "dict"), (Customer, "dict"),
        ("Customer", "dict"), (OrderedDict, "dict"), (list, "list"), ("list[Customer]", "list"),
        ("typing.List", "list"), (int, ""), ("dict | None", ""), ("dict[", ""), (None, ""), ("Nobody", ""), (tuple, ""),
    ],
)  # fmt: skip
def test_the_kind_of_output_is_read_from_the_annotation(annotation: Any, shape: str) -> None:
    def handler() -> Any: ...

    handler.__annotations__["return"] = annotation
    assert Flow("f").step(handler).signature.returns == shape


@pytest.mark.parametrize(
    ("check_id", "said", "depends_on", "options"),
    [
        (
            "E012",
            "when_unmet='never' of step 'a': give one of 'fail', 'skip'",
            [],
            {"unless": {}, "when_unmet": "never"},
        ),
        ("E012", "when_exhausted=None of step 'a'", [], {"when_exhausted": None}),
        ("E012", "has no use without a condition", [], {"when_unmet": "fail"}),
        ("E012", "no_retry= of step 'a': 'ValueError' is no class", [], {"no_retry": "ValueError"}),
        ("E012", "5 is no class", [], {"no_retry": [ValueError, 5]}),
        ("E012", "<class 'int'> is no class of exceptions", [], {"no_retry": [int]}),
        ("E013", "only_if= of step 'a' is ['load']. Give a dict", ["load"], {"only_if": ["load"]}),
        ("E013", "unless= of step 'a' is True", [], {"unless": True}),
        ("E013", "is {1: 2}. Give a dict with text keys", [], {"only_if": {1: 2}}),
        ("E013", "is no JSON object. The value at $.a.b cannot", [], {"only_if": {"a": {"b": object()}}}),
        ("E013", "JSON has no nan", [], {"only_if": {"a": float("nan")}}),
        ("E013", "NUL", [], {"only_if": {"a": "\x00"}}),
        ("E014", "'lod' is not among its dependencies, load. Did you mean 'load'?", ["load"], {"only_if": {"lod": 1}}),
        ("E014", "'price' is not among its dependencies", ["load"], {"unless": completed("price")}),
        ("E014", "of which it has none", [], {"unless": completed("load")}),
        ("E015", "unknown that 'price' returns a dict or a list", ["price"], {"only_if": completed("price")}),
        ("E015", "unknown that 'unknown' returns", ["unknown"], {"unless": completed("unknown")}),
    ],
)
def test_mistakes_are_named(check_id: str, said: str, depends_on: list[str], options: Any) -> None:
    flow = declare()
    with pytest.raises(FlowDefinitionError) as caught:
        step(flow, *depends_on, **options)
    assert said in str(caught.value)
    assert caught.value.check_id == f"pgflow.{check_id}"
    assert caught.value.location.startswith(__file__)
    assert "a" not in flow.steps


def test_a_map_of_the_flows_input_can_have_no_condition() -> None:
    with pytest.raises(FlowDefinitionError, match="no object is contained in a list") as caught:
        Flow("f").map(only_if={"a": 1})(one_argument)
    assert caught.value.check_id == "pgflow.E013"


def one_argument(number: int) -> None: ...


def test_another_pgflows_word_is_translated() -> None:
    with pytest.raises(TypeError, match="called when_exhausted: when_exhausted='skip'"):
        Flow("f").step(retries_exhausted="skip")(lambda_free)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("ours", "theirs", "equal"),
    [
        ('{"a": 1, "b": [2]}', '{"b": [2], "a": 1}', True),
        ('{"a": 1.50}', '{"a": 1.5}', True),
        ('{"a": 1e+30}', '{"a": 1000000000000000000000000000000}', True),
        ('{"a": 1}', '{"a": 1.0}', True),
        ('{"a": 1}', '{"a": true}', False),
        ('{"a": 1}', '{"a": "1"}', False),
        ('{"a": 12345678901234567890123456789012345}', '{"a": 12345678901234567890123456789012346}', False),
        ('{"a": null}', "{}", False),
        ("{}", None, False),
    ],
)
def test_patterns_are_compared_as_json(ours: str, theirs: str | None, equal: bool) -> None:
    assert (conditions.canonical(ours) == conditions.canonical(theirs)) is equal


class TestSkippableDependencies:
    """W021: a parameter without a default, for the output of a step that may be skipped."""

    def warned(self, flow: Flow) -> list[str]:
        return [str(message.msg) for message in checks._flow(flow) if message.id == "pgflow.W021"]

    @pytest.mark.parametrize(
        "options",
        [{"only_if": {"a": 1}}, {"unless": {"a": 1}, "when_unmet": "skip-cascade"}, {"when_exhausted": "skip"}],
    )
    def test_a_step_that_may_be_skipped(self, options: Any) -> None:
        flow = Flow("f")

        @flow.step(**options)
        def load(flow_input: Any) -> dict[str, Any]: ...

        @flow.step
        def ship(load: Any) -> None: ...

        (warning,) = self.warned(flow)
        assert "'load' may be skipped, and then the handler of 'ship' cannot be called" in warning

    def test_a_step_whose_handler_names_skip_step(self) -> None:
        from django_pgflow import SkipStep  # noqa: F401

        flow = Flow("f")

        @flow.step
        def load(flow_input: Any) -> None:
            import django_pgflow

            raise django_pgflow.SkipStep

        @flow.step
        def ship(load: Any) -> None: ...

        assert len(self.warned(flow)) == 1

    def test_what_a_cascade_reaches(self) -> None:
        flow = Flow("f")

        @flow.step(when_exhausted="skip-cascade")
        def load(flow_input: Any) -> None: ...

        @flow.step
        def pack(load: Any = None) -> None: ...

        @flow.step
        def ship(pack: Any) -> None: ...

        (warning,) = self.warned(flow)
        assert "'pack' may be skipped" in warning

    @pytest.mark.parametrize("options", [{}, {"only_if": {"a": 1}, "when_unmet": "fail"}])
    def test_a_step_that_is_never_skipped(self, options: Any) -> None:
        flow = Flow("f")

        @flow.step(**options)
        def load(flow_input: Any) -> None: ...

        @flow.step
        def ship(load: Any) -> None: ...

        assert self.warned(flow) == []

    def test_a_default_and_a_condition_are_remedies(self) -> None:
        flow = Flow("f")

        @flow.step(only_if={"a": 1})
        def load(flow_input: Any) -> dict[str, Any]: ...

        @flow.step
        def ship(load: Any = None) -> None: ...

        @flow.step(only_if=completed(load))
        def invoice(load: Any) -> None: ...

        assert self.warned(flow) == []
