"""Starting runs through a flow."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction

from django_pgflow import Flow, FlowNotInstalled, InvalidInput, NotSerializable, registry, start_flow
from tests.testapp import flows

pytestmark = pytest.mark.django_db


def stored_input(run: Any) -> Any:
    run.refresh_from_db()
    return run.input


@pytest.mark.parametrize(
    ("args", "kwargs", "stored"),
    [
        ((), {"order_id": 5, "express": False}, {"order_id": 5, "express": False}),
        (({"a": 1},), {}, {"a": 1}),
        (([1, None],), {}, [1, None]),
        ((None,), {}, None),
        ((), {}, {}),
        ((), {"slug": 1, "self": 2}, {"slug": 1, "self": 2}),
    ],
)
def test_the_input_is_the_positional_argument_or_the_dict_of_keywords(args: Any, kwargs: Any, stored: Any) -> None:
    run = flows.greet.start(*args, **kwargs)
    assert run.flow_slug == "greet"
    assert run.status == "started"
    assert stored_input(run) == stored


@pytest.mark.parametrize(("args", "kwargs"), [((1, 2), {}), (({},), {"a": 1})])
def test_two_inputs_are_a_type_error(args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError, match="A run of the flow 'greet' has one input: give one positional argument, or"):
        flows.greet.start(*args, **kwargs)
    assert flows.greet.runs.count() == 0


def test_a_run_is_rolled_back_with_the_transaction() -> None:
    with transaction.atomic():
        assert flows.greet.start() in flows.greet.runs
        transaction.set_rollback(True)
    assert not flows.greet.runs.exists()


def test_runs_are_those_of_the_flow() -> None:
    run = flows.greet.start()
    flows.chain.start()
    assert [found.run_id for found in flows.greet.runs] == [run.run_id]


def test_a_root_map_takes_a_list() -> None:
    assert stored_input(flows.root_map.start([1, 2])) == [1, 2]
    assert stored_input(flows.root_map.start((3,))) == [3]
    for value in ({"a": 1}, "ab", None, 3):
        with pytest.raises(InvalidInput, match="its step 'double' maps over the input, which must be a list, not a "):
            flows.root_map.start(value)
    with pytest.raises(InvalidInput):
        flows.root_map.start()
    assert flows.root_map.runs.count() == 2


def test_an_empty_root_map_ends_at_once() -> None:
    assert flows.root_map.start([]).status == "completed"


def test_an_input_that_is_no_json_is_refused_with_the_path() -> None:
    with pytest.raises(NotSerializable, match=r"The value at \$.lines\[0\] cannot be stored"):
        flows.greet.start(lines=[float("nan")])
    assert not flows.greet.runs.exists()


def test_bulk_start_is_one_statement_in_order(django_assert_num_queries: Any) -> None:
    # Besides the statement itself, the savepoint around it.
    with django_assert_num_queries(3) as captured:
        runs = flows.greet.bulk_start({"name": str(number)} for number in range(50))
    assert [query["sql"].split()[0] for query in captured.captured_queries] == ["SAVEPOINT", "select", "RELEASE"]
    assert [stored_input(run)["name"] for run in runs] == [str(number) for number in range(50)]
    assert flows.greet.bulk_start([]) == []


def test_bulk_start_starts_all_or_nothing() -> None:
    with pytest.raises(NotSerializable):
        flows.greet.bulk_start([{}, {"bad": "\0"}])
    with pytest.raises(InvalidInput):
        flows.root_map.bulk_start([[1], {}])
    assert not flows.greet.runs.exists()
    assert not flows.root_map.runs.exists()


def test_async_twins() -> None:
    async def start() -> Any:
        return [await flows.greet.astart(name="Ada", self=1), *await flows.greet.abulk_start([{}, {}])]

    assert [stored_input(run) for run in async_to_sync(start)()] == [{"name": "Ada", "self": 1}, {}, {}]


def test_start_flow_finds_the_flow_by_slug() -> None:
    assert start_flow("greet", name="Ada").flow_slug == "greet"


def test_a_flow_that_is_not_in_the_database_is_named() -> None:
    flow = Flow("never_synced")
    try:
        with pytest.raises(FlowNotInstalled, match=r"'never_synced' is not in the database 'default'\. Run"):
            flow.start()
    finally:
        registry.unregister("never_synced")
    with connection.cursor() as cursor:
        cursor.execute("select 1")
