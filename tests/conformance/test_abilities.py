"""What a core is found to be, and the errors that name what it lacks."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from django_pgflow import exceptions
from django_pgflow.db import core as cores
from django_pgflow.db.capabilities import VERSIONS
from django_pgflow.db.core import choice
from django_pgflow.db.core.current import Core
from django_pgflow.db.core.definitions import DefinitionsV013, DefinitionsV07, definitions_for
from django_pgflow.db.core.external import ExternalCore
from django_pgflow.db.core.v0_7 import CoreV07
from django_pgflow.db.core.v0_12 import CoreV012
from django_pgflow.dsl.options import Options
from tests.conformance.conftest import Foreign

VERSION = {"0.7.2": ("0.7.0", "0.8.0"), "0.14.1": ("0.14.0", None)}


def test_the_version_is_told_by_what_is_there(foreign: Foreign) -> None:
    found = foreign.found
    assert found.version == VERSION[foreign.version]
    assert found.is_foreign
    assert not found.is_ours
    assert not found.is_beside
    assert found.pgmq_level == "1.5.2 or later"
    assert found.has_conditions == found.has_requeue == found.has_compilation == (foreign.version == "0.14.1")


AFTER = {
    "0.13.3": ["pgflow.steps.required_input_pattern", "pgflow.step_states.skip_reason"],
    "0.13.1": ["pgflow.requeue_stalled_tasks()"],
    "0.12.0": ["pgflow.step_states.output"],
    "0.11.0": ["pgflow.step_task_record.flow_input"],
    "0.10.0": ["pgflow.ensure_flow_compiled(text, jsonb, boolean)"],
    "0.8.0": [
        "pgflow.workers.stopped_at",
        "pgflow.mark_worker_stopped(uuid)",
        "pgflow.delete_flow_and_data(text)",
    ],
}
"""What each version lacks that the next one in the table has."""


@pytest.mark.parametrize("version", list(AFTER))
def test_versions_between_are_told_and_get_the_core_that_fits(foreign: Foreign, version: str) -> None:
    if foreign.version != "0.14.1":
        pytest.skip("made of the newest one")
    lacking = [name for later in list(AFTER)[: list(AFTER).index(version) + 1] for name in AFTER[later]]
    found = replace(
        foreign.found,
        columns=foreign.found.columns.difference(lacking),
        functions=foreign.found.functions.difference(lacking),
    )
    assert found.version[0] == version
    expected = {"0.13.3": ExternalCore, "0.8.0": CoreV07}.get(version, CoreV012)
    assert type(cores.core_for(found)) is expected
    assert type(definitions_for(found)) is (DefinitionsV07 if version == "0.8.0" else DefinitionsV013)


def test_our_own_core_has_all_that_any_version_has(db: None) -> None:
    found = choice.probe("default")
    assert found.version == (VERSIONS[-1][0], None)
    assert found.is_ours
    assert found.is_beside
    assert type(cores.for_alias("default")) is Core


def test_the_catalog_is_asked_once(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    cores.forget()
    asked = []
    probe = choice.probe
    monkeypatch.setattr(choice, "probe", lambda alias: asked.append(alias) or probe(alias))
    for _ in range(3):
        cores.for_alias("default")
    assert asked == ["default"]
    cores.forget()
    cores.for_alias("default")
    assert asked == ["default"] * 2


def test_every_function_of_our_schema_is_replaced_or_refused() -> None:
    for name, method in inspect.getmembers(Core, inspect.isfunction):
        uses_tables_alone = name == "cancellation"  # the table stands beside foreign cores, too
        if "from django_pgflow." in inspect.getsource(method) and not uses_tables_alone:
            assert getattr(ExternalCore, name) is not method, name


RUN = uuid.uuid4()


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda core: core.cancel_runs([RUN]), "Cancelling a run"),
        (lambda core: core.resume_runs([RUN]), "Resuming a run"),
        (lambda core: core.retry_tasks([(RUN, "a", 0)]), "Retrying failed tasks"),
        (lambda core: core.start_flow("flow", "{}", delay=5), "Starting a run later"),
        (lambda core: core.exchange(RUN, ["flow"], 1), "Exchanging tasks"),
    ],
)
def test_what_no_public_function_does_is_refused_by_name(
    foreign: Foreign, call: Callable[[Core], Any], what: str
) -> None:
    with pytest.raises(exceptions.NotSupported, match=f"{what}.* needs the core that django-pgflow installs"):
        call(foreign.core)


def test_what_is_kept_beside_the_core_needs_our_schema(foreign: Foreign) -> None:
    for call in (lambda: foreign.core.restart_run(RUN), lambda: foreign.core.start_flow("flow", "{}", meta="{}")):
        with pytest.raises(exceptions.NotSupported, match="needs the schema 'django_pgflow'"):
            call()


def test_runs_are_started_in_the_order_of_their_inputs(foreign: Foreign) -> None:
    foreign.define("flow", "a")
    ids = [uuid.uuid4(), None, uuid.uuid4()]
    records = foreign.ask(foreign.core.start_flows("flow", ["1", "2", "null"], ids))
    assert [record.run_id for record in records][::2] == ids[::2]
    assert [foreign.run(record.run_id)["input"] for record in records] == [1, 2, None]
    assert [record.status for record in records] == ["started"] * 3


def test_a_run_is_started_once_if_it_is_to_be_absent(foreign: Foreign) -> None:
    foreign.define("flow", "a")
    run_id = uuid.uuid4()
    records = [
        foreign.ask(foreign.core.start_flow("flow", text, run_id=run_id, if_absent=True))[0] for text in ("1", "2")
    ]
    assert [record.created for record in records] == [True, False]
    assert {record.run_id for record in records} == {run_id}
    assert foreign.run(run_id)["input"] == 1
    (other,) = foreign.ask(foreign.core.start_flow("flow", "3"))
    assert other.created
    assert other.run_id != run_id


class Step:
    """A step with a condition."""

    slug = "b"
    step_type = "single"
    dependencies = ("a",)
    options = Options()
    required_input_pattern: str | None = '{"a": {}}'
    forbidden_input_pattern = None
    when_unmet = "skip"
    when_exhausted = "fail"
    concurrency_limit: int | None = None
    concurrency_key: str | None = None


class LimitedStep(Step):
    required_input_pattern = None
    concurrency_limit = 2


def test_limits_for_all_workers_are_refused_by_name(foreign: Foreign) -> None:
    foreign.define("flow", "a")
    definitions = definitions_for(foreign.found)
    with pytest.raises(
        exceptions.NotSupported, match="concurrency_limit= of step 'b' needs the core that django-pgflow"
    ):
        definitions.add_step("flow", LimitedStep())
    with pytest.raises(
        exceptions.NotSupported, match="concurrency_limit= of step 'b' needs the core that django-pgflow"
    ):
        definitions.set_limit("flow", LimitedStep())
    assert definitions.set_limit("flow", Step()) == []
    assert [step["concurrency_limit"] for step in foreign.ask(definitions.steps(["flow"]))] == [None]


def test_conditions_are_written_or_refused_by_name(foreign: Foreign) -> None:
    foreign.define("flow", "a")
    definitions = definitions_for(foreign.found)
    if foreign.version == "0.7.2":
        with pytest.raises(exceptions.NotSupported, match="The condition of step 'b' needs pgflow 0"):
            definitions.add_step("flow", Step())
        with pytest.raises(exceptions.NotSupported, match="Deleting the flow 'flow' needs pgflow 0"):
            definitions.delete_flow_and_data("flow")
        return
    foreign.ask(definitions.add_step("flow", Step()))
    (a, b) = foreign.ask(definitions.steps(["flow"]))
    assert (a["required_input_pattern"], b["required_input_pattern"]) == (None, '{"a": {}}')
    foreign.ask(definitions.delete_flow_and_data("flow"))
    assert foreign.ask(definitions.steps(["flow"])) == []
