"""The exchange whose answer never came."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from django_pgflow import client
from django_pgflow.db.core.current import Core
from django_pgflow.db.database import Database
from django_pgflow.db.records import TaskReport
from django_pgflow.worker import session
from django_pgflow.worker.exchange import Exchange
from tests.fixtures.worker import query
from tests.integration.worker.conftest import ended
from tests.testapp import flows

core = Core()


@pytest.fixture
def worker_id(transactional_db) -> uuid.UUID:
    """A registered worker."""
    worker_id = uuid.uuid4()
    Database("default").run(core.register_worker(worker_id, ["greet"], "test"))
    return worker_id


def claim(worker_id):
    """Claim a task as the worker does, on another connection."""
    return Database("default").run(core.exchange(worker_id, ["greet"], 1))


def exchange(worker_id, *, in_hand=(), reports=(), capacity=5, flow_slugs=("greet",)):
    """Exchange on a connection that is cut before."""

    async def main():
        own = session.Session("default", "exchange", session.Health())
        await own.connect()
        # From a thread, where Django may open a connection.
        await asyncio.to_thread(_cut)
        source = Exchange(core, own, worker_id, lambda: set(in_hand))
        try:
            return await asyncio.wait_for(source.exchange(list(flow_slugs), capacity, list(reports)), 30)
        finally:
            await own.close()

    return asyncio.run(main())


def _cut():
    from django.db import connections

    query("select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name like 'django-pgflow%%'")
    connections.close_all()


def test_claims_whose_answer_was_lost_are_given_back_and_claimed_again(worker_id):
    flows.greet.bulk_start([{"name": "Ada"}])
    (lost,) = claim(worker_id)
    (found,) = exchange(worker_id)
    assert (found.kind, found.run_id) == ("claimed", lost.run_id)
    assert found.attempt - lost.attempt == found.max_attempts - lost.max_attempts == 1, "it cost no attempt"


def test_tasks_in_hand_are_not_given_back(worker_id):
    flows.greet.start()
    (held,) = claim(worker_id)
    assert exchange(worker_id, in_hand=[(held.run_id, held.step_slug, held.task_index)]) == []


def test_a_report_that_may_have_counted_is_repeated(worker_id):
    run = flows.greet.start()
    (held,) = claim(worker_id)
    report = TaskReport(
        run_id=held.run_id,
        step_slug=held.step_slug,
        task_index=held.task_index,
        attempt=1,
        outcome="completed",
        output='"Hi"',
    )
    assert exchange(worker_id, reports=[report]) == []
    assert ended(run).output == {"hello": "Hi"}
    (refused,) = exchange(worker_id, reports=[report])
    assert refused.kind == "refused"
    assert client.get(run.pk).status == "completed"


def test_a_deleted_flow_does_not_keep_the_worker_from_the_others(worker_id, make_flow):
    make_flow(_probe, slug="doomed")
    query("select pgflow.delete_flow_and_data('doomed')")
    run = flows.greet.start()
    (found,) = exchange(worker_id, flow_slugs=["doomed", "greet"])
    assert found.run_id == run.pk


def _probe():
    return 1


def test_pauses_grow_and_stay_within_bounds():
    pauses = session.pauses()
    first, *rest = [next(pauses) for _ in range(20)]
    assert 0.05 <= first <= 0.1
    assert max(rest) <= session.LONGEST
    assert min(rest[10:]) >= session.LONGEST / 2


def test_parameters_are_those_of_django_without_what_is_its_own(settings):
    values = session.parameters("default", "exchange")
    assert values["dbname"] == settings.DATABASES["default"]["NAME"]
    assert values["application_name"] == "django-pgflow exchange"
    assert values["prepare_threshold"] is None
    assert not {"context", "cursor_factory"} & set(values)
