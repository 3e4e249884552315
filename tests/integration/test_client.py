"""Waiting for runs, and retrying their tasks."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction

from django_pgflow import client, exceptions, models
from tests import factories
from tests.fixtures import driving
from tests.testapp import flows


def fail(task: Any) -> Any:
    raise driving.Failure("No such customer.")


class Elsewhere:
    """Does the work of a flow in a thread with a connection of its own, as a worker would."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.thread = threading.Thread(target=self._run, args=(work,))

    @staticmethod
    def _run(work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            connections.close_all()

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *exc: object) -> None:
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()


def do_everything(flow_slug: str, answer: driving.Answer) -> Callable[[], None]:
    def work() -> None:
        driving.work(flow_slug, answer)

    return work


@pytest.mark.django_db(transaction=True)
def test_result_waits_for_the_output() -> None:
    run = flows.greet.start(name="Ada")
    with Elsewhere(do_everything("greet", lambda task: "Hello, Ada!")):
        assert run.result(timeout=20) == {"hello": "Hello, Ada!"}


@pytest.mark.django_db(transaction=True)
def test_aresult_waits_for_the_output() -> None:
    run = flows.greet.start(name="Ada")
    with Elsewhere(do_everything("greet", lambda task: None)):
        assert async_to_sync(run.aresult)(timeout=20) == {"hello": None}


@pytest.mark.django_db(transaction=True)
def test_a_failed_run_says_where_and_why() -> None:
    run = flows.flaky.start(until="never")
    with (
        Elsewhere(do_everything("flaky", lambda task: fail(task) if task.step_slug == "fragile" else "ok")),
        pytest.raises(exceptions.RunFailed, match=r"'flaky' failed at step 'fragile'.*No such customer") as caught,
    ):
        run.result(timeout=20)
    assert (caught.value.step_slug, caught.value.task_index) == ("fragile", 0)
    assert caught.value.run_id == run.run_id


@pytest.mark.django_db(transaction=True)
def test_join_returns_failed_runs_too() -> None:
    run = flows.flaky.start(until="never")
    with Elsewhere(do_everything("flaky", lambda task: fail(task) if task.step_slug == "fragile" else "ok")):
        record = client.join(run.run_id, timeout=20)
    assert record.status == "failed"


@pytest.mark.django_db(transaction=True)
def test_a_wait_ends_at_its_timeout() -> None:
    run = flows.greet.start()
    with pytest.raises(exceptions.RunTimeout, match="Does a worker serve its flow"):
        run.result(timeout=0.05)
    with pytest.raises(exceptions.RunTimeout):
        async_to_sync(run.aresult)(timeout=0.05)


@pytest.mark.django_db
def test_a_wait_in_a_transaction_is_refused() -> None:
    run = flows.greet.start()
    with transaction.atomic(), pytest.raises(exceptions.WouldDeadlock, match=r"Wait after the `transaction.atomic"):
        run.result(timeout=5)


@pytest.mark.django_db
def test_a_run_that_has_ended_can_be_waited_for_in_a_transaction() -> None:
    run = flows.greet.start()
    do_everything("greet", lambda task: "hi")()
    assert run.result(timeout=5) == {"hello": "hi"}


@pytest.mark.django_db
def test_several_runs_are_waited_for_one_by_one() -> None:
    runs = factories.RunFactory.create_batch(3)
    do_everything("greet", lambda task: str(task.run_id))()
    assert [run.result(timeout=5) for run in runs] == [{"hello": str(run.run_id)} for run in runs]


@pytest.mark.django_db
def test_an_unknown_run_is_named() -> None:
    run_id = uuid.uuid4()
    with pytest.raises(exceptions.RunNotFound, match=str(run_id)):
        client.join(run_id)
    with pytest.raises(exceptions.RunNotFound, match=str(run_id)):
        async_to_sync(client.ajoin)(run_id)


@pytest.mark.django_db
def test_a_refused_start_leaves_the_transaction_usable() -> None:
    with pytest.raises(exceptions.FlowNotInstalled, match="pgflow_sync"):
        client.start("never_defined", ["{}"])
    with pytest.raises(exceptions.InvalidInput, match="root map steps but input is not an array"):
        client.start("root_map", ["[1]", '{"a": 1}'])
    assert models.Run.objects.count() == 0
    client.start("root_map", ["[1]"])
    assert models.Run.objects.count() == 1


@pytest.mark.django_db
def test_bulk_start_answers_in_the_order_of_the_inputs() -> None:
    wanted = uuid.uuid4()
    records = client.start("greet", [f'{{"name": {n}}}' for n in range(5)], run_ids=[None, None, wanted, None, None])
    runs = models.Run.objects.in_bulk([record.run_id for record in records])
    assert [runs[record.run_id].input["name"] for record in records] == [0, 1, 2, 3, 4]
    assert records[2].run_id == wanted


@pytest.mark.django_db
def test_retry_says_what_became_of_each_task() -> None:
    run = flows.flaky.start(until="never")
    do_everything("flaky", lambda task: fail(task) if task.step_slug == "fragile" else "ok")()
    unknown = uuid.uuid4()
    outcomes = client.retry_tasks([(run.run_id, "fragile", 0), (run.run_id, "prepare", 0), (unknown, "fragile", 0)])
    assert [outcome.outcome for outcome in outcomes] == ["queued", "not_failed", "not_found"]
    run.refresh_from_db()
    assert run.status == "started"
    do_everything("flaky", lambda task: "mended")()
    assert run.result(timeout=5) == {"fragile": "mended"}
    assert client.retry_tasks([]) == []
