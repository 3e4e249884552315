"""Caps: the handlers count themselves how many of them run at a time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command

from django_pgflow import compiler
from tests.fixtures.worker import eventually, query
from tests.integration.worker.conftest import ended


class Gauge:
    """How many handlers of each name run now, and ran at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    @contextmanager
    def entered(self, *names: str) -> Iterator[None]:
        with self._lock:
            for name in names:
                self.now[name] += 1
                self.most[name] = max(self.most[name], self.now[name])
        time.sleep(0.01)
        try:
            yield
        finally:
            with self._lock:
                self.now.subtract(names)


@pytest.fixture
def gauge() -> Gauge:
    return Gauge()


def test_a_flow_has_no_more_tasks_than_its_cap_and_does_not_hold_up_others(make_flow, run_worker, gauge):
    def each_probe(number):
        with gauge.entered("capped", "all"):
            pass

    def each_other(number):
        with gauge.entered("free", "all"):
            pass

    capped = make_flow(each_probe, slug="capped", worker_concurrency=2)
    free = make_flow(each_other, slug="free")
    runs = [capped.start(list(range(30))), free.start(list(range(90)))]
    run_worker(capped, free, concurrency=6, until_idle=True)
    assert [ended(run).status for run in runs] == ["completed"] * 2
    assert gauge.most["capped"] == 2
    assert gauge.most["free"] >= 4
    assert gauge.most["all"] == 6


def test_a_full_flow_waits_for_its_own_tasks_alone(make_flow, run_worker):
    release = threading.Event()

    def hold():
        release.wait(30)

    def quick():
        return 1

    held = make_flow(hold, slug="held", worker_concurrency=1)
    free = make_flow(quick, slug="free")
    stuck = [held.start() for _ in range(3)]
    run_worker(held, free, concurrency=2, poll_interval=600)
    eventually(lambda: query("select 1 from pgflow.step_tasks where status = 'started'"), "the first to begin")
    for _ in range(5):
        assert ended(free.start()).status == "completed"
    assert query("select count(*) from pgflow.step_tasks where status = 'started'") == [(1,)]
    release.set()
    # Each is claimed when the one before it is reported; the next look by itself would be long after the deadline.
    assert [ended(run).status for run in stuck] == ["completed"] * 3


def test_a_step_has_no_more_tasks_than_its_cap_and_does_not_hold_up_those_behind_it(make_flow, run_worker, gauge):
    def each_narrow(number):
        with gauge.entered("narrow"):
            pass

    def each_wide(number):
        with gauge.entered("wide"):
            pass

    flow = make_flow()
    flow.map(worker_concurrency=2)(each_narrow)
    flow.map(each_wide)
    compiler.sync({flow.slug: flow}, using="default", verbosity=0)
    run = flow.start(list(range(40)))
    run_worker(flow, concurrency=6, until_idle=True)
    assert ended(run).status == "completed"
    assert gauge.most["narrow"] == 2
    assert gauge.most["wide"] >= 4


def test_tasks_that_wait_for_a_slot_count(make_flow, run_worker, gauge):
    """Quick tasks are claimed ahead of free slots; those of a capped flow only as far as the cap goes."""

    def each_probe(number):
        return number

    flow = make_flow(each_probe, worker_concurrency=3)
    run = flow.start(list(range(300)))
    run_worker(flow, concurrency=2)
    held = []

    def look():
        held.append(query("select count(*) from pgflow.step_tasks where status = 'started'")[0][0])
        return query("select 1 from pgflow.runs where status = 'completed'")

    eventually(look, "the end")
    assert ended(run).status == "completed"
    assert max(held) <= 3


def test_the_worker_is_told_in_place_of_what_the_flow_says(make_flow, run_worker, gauge):
    def each_probe(number):
        with gauge.entered("probe"):
            pass

    flow = make_flow(each_probe, worker_concurrency=1)
    run = flow.start(list(range(20)))
    run_worker(flow, concurrency=6, flow_concurrency={"probe": 3}, until_idle=True)
    assert ended(run).status == "completed"
    assert gauge.most["probe"] == 3


def test_the_command_takes_caps_and_those_of_the_settings(make_flow, settings, gauge):
    def each_probe(number):
        with gauge.entered("probe"):
            pass

    def each_other(number):
        with gauge.entered("other"):
            pass

    settings.PGFLOW = {"WORKER": {"flow_concurrency": {"probe": 4, "other": 3}}}
    probe, other = make_flow(each_probe), make_flow(each_other, slug="other")
    runs = [probe.start(list(range(30))), other.start(list(range(30)))]
    call_command("runpgflowworker", "probe", "other", "--until-idle", "--flow-concurrency", "probe=2")
    assert [ended(run).status for run in runs] == ["completed"] * 2
    assert gauge.most == {"probe": 2, "other": 3}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("greet", "'greet' is not FLOW=N, as in fulfil_order=2."),
        ("greet=-1", "'greet=-1' is not FLOW=N"),
        ("gret=2", "--flow-concurrency: No flow is registered as 'gret'"),
        ("greet=0", "flow_concurrency of 'greet' must be at least 1, not 0."),
    ],
)
def test_what_is_wrong_with_a_cap_is_said(db, given, said):
    with pytest.raises(CommandError, match=said.replace("(", r"\(")):
        call_command("runpgflowworker", "greet", "--flow-concurrency", given)
