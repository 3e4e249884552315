"""Limits for all workers, with real workers: the handlers count themselves how many of them run at a time."""

from __future__ import annotations

import pytest

from tests.fixtures.worker import query
from tests.integration.worker.conftest import ended
from tests.integration.worker.test_caps import Gauge


@pytest.fixture
def gauge() -> Gauge:
    return Gauge()


def test_several_workers_together_keep_to_the_limit_and_use_it_up(make_flow, run_worker, gauge):
    def each_probe(number):
        with gauge.entered("limited"):
            return number

    flow = make_flow(each_probe, step={"concurrency_limit": 3})
    run = flow.start(list(range(60)))
    for _ in range(3):
        run_worker(flow, concurrency=4)
    found = ended(run)
    assert (found.status, found.output) == ("completed", {"each_probe": list(range(60))})
    assert gauge.most["limited"] == 3
    assert query("select count(*) from django_pgflow.limited_tasks") == [(0,)]


def test_each_key_has_places_of_its_own(make_flow, run_worker, gauge):
    def probe(flow_input):
        with gauge.entered(flow_input["customer"], "all"):
            pass

    flow = make_flow(probe, step={"concurrency_limit": 1, "concurrency_key": "customer"})
    runs = flow.bulk_start([{"customer": customer} for customer in "abcd" * 8])
    for _ in range(2):
        run_worker(flow, concurrency=4)
    assert {ended(run).status for run in runs} == {"completed"}
    assert {gauge.most[customer] for customer in "abcd"} == {1}
    assert 2 <= gauge.most["all"] <= 4


def test_an_idle_worker_begins_what_waited_as_soon_as_another_has_a_place_to_give(make_flow, run_worker, gauge):
    """The next look by itself would come long after the deadline: the free place is notified."""

    def each_probe(number):
        with gauge.entered("limited"):
            return number

    flow = make_flow(each_probe, step={"concurrency_limit": 1})
    for _ in range(2):
        run_worker(flow, concurrency=2, poll_interval=600)
    runs = [flow.start([1, 2, 3]) for _ in range(4)]
    assert {ended(run).status for run in runs} == {"completed"}
    assert gauge.most["limited"] == 1


def test_the_commit_of_an_atomic_step_gives_up_its_place(make_flow, run_worker, gauge):
    def probe():
        with gauge.entered("limited"):
            return 1

    flow = make_flow(probe, step={"concurrency_limit": 1, "atomic": True})
    runs = flow.bulk_start([{}] * 10)
    for _ in range(2):
        run_worker(flow, concurrency=3, poll_interval=600)
    assert {ended(run).status for run in runs} == {"completed"}
    assert gauge.most["limited"] == 1


def test_failures_and_retries_take_and_give_up_places_like_others(make_flow, run_worker, gauge):
    def each_probe(number, ctx):
        with gauge.entered("limited"):
            if ctx.attempt < 3:
                raise ValueError(number)
        return ctx.attempt

    flow = make_flow(each_probe, max_attempts=3, base_delay=0, step={"concurrency_limit": 2})
    run = flow.start(list(range(8)))
    for _ in range(2):
        run_worker(flow, concurrency=4)
    found = ended(run)
    assert (found.status, found.output) == ("completed", {"each_probe": [3] * 8})
    assert gauge.most["limited"] == 2
