"""Conditions of the code reach the database, and are part of the shape of a flow."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection

from django_pgflow import Flow, ShapeMismatch, client, compiler, completed, registry
from tests.fixtures import driving
from tests.integration.compiler.conftest import rows

pytestmark = pytest.mark.django_db

STEP = (
    "select required_input_pattern, forbidden_input_pattern, when_unmet, when_exhausted "
    "from pgflow.steps where flow_slug = 'shop' and step_slug = 'customs'"
)


def build(**options: Any) -> Flow:
    registry.unregister("shop")
    flow = Flow("shop", max_attempts=1)

    @flow.step
    def load(flow_input: Any) -> dict[str, Any]: ...

    @flow.step(**options)
    def customs(load: Any) -> dict[str, Any]: ...

    @flow.step
    def ship(load: Any, customs: Any = None) -> None: ...

    return flow


def sync(flow: Flow) -> compiler.Report:
    return compiler.sync({"shop": flow}, using="default", verbosity=0)


def test_they_are_written_and_then_agree() -> None:
    options = {
        "only_if": {"load": {"sum": 1.50, "b": [1], "a": None, "big": 1e30}},
        "unless": completed("load"),
        "when_unmet": "skip_cascade",
        "when_exhausted": "skip",
    }
    sync(build(**options))

    ((required, forbidden, when_unmet, when_exhausted),) = rows(STEP)
    assert json.loads(required, parse_int=float) == options["only_if"]
    assert json.loads(forbidden) == {"load": {}}
    assert (when_unmet, when_exhausted) == ("skip-cascade", "skip")
    assert sync(build(**options)).unchanged == ["shop"]
    assert compiler.differences({"shop": build(**options)}, using="default") == {}


def test_other_conditions_without_runs_are_written_anew() -> None:
    sync(build(only_if={"load": {"country": "CH"}}))
    report = sync(build(only_if={"load": {"country": "FR"}}))
    assert report.recreated == {
        "shop": (
            'required_input_pattern of step \'customs\': {"load": {"country": "FR"}} in the code, '
            '{"load": {"country": "CH"}} in the database',
        )
    }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"only_if": {"load": {"country": "FR"}}},
        {"unless": {"load": {"country": "CH"}}},
        {"only_if": {"load": {"country": "CH"}}, "when_unmet": "fail"},
        {"only_if": {"load": {"country": "CH"}}, "when_exhausted": "skip"},
    ],
)
def test_other_conditions_with_runs_are_refused(options: Any) -> None:
    sync(build(only_if={"load": {"country": "CH"}}))
    client.start("shop", ["{}"])
    before = rows(STEP)
    assert isinstance(sync(build(**options)).refused["shop"], ShapeMismatch)
    assert rows(STEP) == before


@pytest.mark.parametrize(("country", "expected"), [("CH", "completed"), ("DE", "skipped")])
def test_the_database_decides_by_them(country: str, expected: str) -> None:
    flow = build(only_if={"load": {"country": "CH"}})
    sync(flow)
    run = flow.start()
    driving.work("shop", lambda task: {"country": country})
    assert run.join() == "completed"
    assert run.step_states.get(step_slug="customs").status == expected
    connection.check_constraints()


def test_completed_tells_a_skipped_step_from_one_that_ran() -> None:
    registry.unregister("shop")
    flow = Flow("shop", max_attempts=1)

    @flow.step(only_if={"cached": True})
    def cache_hit(flow_input: Any) -> dict[str, Any]: ...

    @flow.step(unless=completed(cache_hit))
    def compute(cache_hit: Any = None) -> None: ...

    sync(flow)
    for cached, expected in ((True, "skipped"), (False, "completed")):
        run = flow.start(cached=cached)
        driving.work("shop", lambda task: {})
        assert run.join() == "completed"
        assert run.step_states.get(step_slug="compute").status == expected
