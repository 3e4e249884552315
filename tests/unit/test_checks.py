"""``manage.py check``: settings, and what of the flows needs the whole module."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks as django_checks

from django_pgflow import Flow, checks
from tests.testapp import flows


def ids(messages: list[django_checks.CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]


def test_the_test_project_is_without_fault() -> None:
    assert django_checks.run_checks(tags=["pgflow"]) == []


def test_an_unknown_key_is_named_with_what_may_be_meant(settings: Any) -> None:
    settings.PGFLOW = {"DATABSE": "default", "WORKER": {"concurency": 3}, "DEFAULTS": {"nonsense": 1}}
    found = checks.check_settings()
    assert ids(found) == ["pgflow.E020"] * 3
    assert [message.msg for message in found] == [
        "PGFLOW has an unknown key 'DATABSE'. Did you mean 'DATABASE'?",
        "PGFLOW has an unknown key 'DEFAULTS.nonsense'.",
        "PGFLOW has an unknown key 'WORKER.concurency'. Did you mean 'concurrency'?",
    ]
    assert "Keys: DATABASE, DEFAULTS, " in str(found[0].hint)
    assert "Keys of WORKER: concurrency, " in str(found[2].hint)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["DATABASE"], "not a dict"),
        ({"DEFAULTS": 3}, "PGFLOW['DEFAULTS'] is 3, not a dict"),
        ({"DEFAULTS": {"timeout": 2}}, "PGFLOW['DEFAULTS']['timeout'] is 2"),
        ({"DEFAULTS": {"max_attempts": 0}}, "PGFLOW['DEFAULTS']['max_attempts'] is 0"),
        ({"DEFAULTS": {"base_delay": 1.5}}, "PGFLOW['DEFAULTS']['base_delay'] is 1.5"),
        ({"DEFAULTS": {"base_delay": None}}, "PGFLOW['DEFAULTS']['base_delay'] is None"),
        ({"WORKER": {"concurrency": 0}}, "PGFLOW['WORKER']['concurrency'] is 0"),
        ({"WORKER": {"concurrency": "many"}}, "PGFLOW['WORKER']['concurrency'] is 'many'"),
        ({"WORKER": {"poll_interval": 0}}, "PGFLOW['WORKER']['poll_interval'] is 0"),
        ({"WORKER": {"listen": "yes"}}, "PGFLOW['WORKER']['listen'] is 'yes'"),
        ({"WORKER": {"flow_concurrency": 3}}, "PGFLOW['WORKER']['flow_concurrency'] is 3, not a dict"),
        ({"WORKER": {"flow_concurrency": {"greet": 0}}}, "PGFLOW['WORKER']['flow_concurrency']['greet'] is 0"),
        ({"WORKER": {"flow_concurrency": {"greet": "2"}}}, "PGFLOW['WORKER']['flow_concurrency']['greet'] is '2'"),
        ({"WORKER": {"flow_concurrency": {"gret": 1}}}, "there is no flow 'gret'. Did you mean 'greet'?"),
        ({"DATABASE": "defualt"}, "not in DATABASES. Did you mean 'default'?"),
        ({"JSON_ENCODER": "nowhere.Encoder"}, "cannot be imported"),
        ({"EXECUTORS": ["heavy"]}, "PGFLOW['EXECUTORS'] is ['heavy'], not a dict"),
        ({"EXECUTORS": {"processes": {"BACKEND": "x.Y"}}}, "this name has a meaning already"),
        ({"EXECUTORS": {"heavy": "x.Y"}}, "PGFLOW['EXECUTORS']['heavy'] is 'x.Y'"),
        ({"EXECUTORS": {"heavy": {"OPTIONS": {}}}}, "PGFLOW['EXECUTORS']['heavy'] is"),
        ({"EXECUTORS": {"heavy": {"BACKEND": "x.Y", "OPTION": {}}}}, "PGFLOW['EXECUTORS']['heavy'] is"),
        ({"EXECUTORS": {"heavy": {"BACKEND": "nowhere.Pool"}}}, "['heavy']['BACKEND'] cannot be imported"),
    ],
)
def test_a_value_that_cannot_be_is_an_error(settings: Any, written: Any, said: str) -> None:
    settings.PGFLOW = written
    (found,) = checks.check_settings()
    assert found.id == "pgflow.E021"
    assert said in found.msg


def test_good_settings_are_no_error(settings: Any) -> None:
    settings.PGFLOW = {"DEFAULTS": {"timeout": 3, "base_delay": 0}, "WORKER": {"grace": 0, "poll_interval": 1}}
    assert checks.check_settings() == []


def test_an_unknown_executor_is_an_error_that_names_the_known(settings: Any) -> None:
    settings.PGFLOW = {"EXECUTORS": {"heavy": {"BACKEND": "concurrent.futures.ThreadPoolExecutor"}}}
    flow = Flow("f")
    for slug in ("heavy", "processes", "heavvy"):
        flow.step(slug=slug, executor=slug)(flows.hello)
    (found,) = checks.check_flows()
    assert found.id == "pgflow.E022"
    assert found.msg.endswith("executor='heavvy' of step 'heavvy' is no executor. Did you mean 'heavy'?")
    assert "Executors: threads, processes, heavy." in str(found.hint)


def test_a_handler_inside_a_function_is_an_error_with_its_place() -> None:
    flow = Flow("f")

    @flow.step
    def inner() -> None: ...

    (found,) = checks.check_flows()
    assert found.id == "pgflow.E018"
    assert found.msg.startswith(f"{inner.location}: ")


def test_a_flow_without_steps_is_a_warning() -> None:
    flow = Flow("f")
    (found,) = checks.check_flows()
    assert (found.id, found.level) == ("pgflow.W025", django_checks.WARNING)
    assert found.msg.startswith(f"{flow.location}: ")


def test_a_root_map_whose_element_is_called_like_a_step_is_a_warning() -> None:
    flow = Flow("f")
    flow.array(flows.numbers.func)

    @flow.map
    def show(numbers: int) -> None: ...

    warning = checks.check_flows()[-1]
    assert warning.id == "pgflow.W024"
    assert "@flow.map(over='numbers')" in str(warning.hint)
