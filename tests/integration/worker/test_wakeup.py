"""When the worker looks at the queues."""

from __future__ import annotations

import pytest

from django_pgflow.worker.wakeup import SHORTEST, Wakeup, Wakeups


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def look(wakeup: Wakeup, *, found: bool, more: bool = False) -> float:
    wakeup.looking()
    wakeup.looked(found=found, more=more)
    return wakeup.seconds_left()


def test_first_look_is_due_at_once(clock):
    assert Wakeup(longest=1, clock=clock).seconds_left() == 0


def test_pauses_grow_up_to_the_longest_while_nothing_is_found(clock):
    wakeup = Wakeup(longest=0.1, clock=clock)
    pauses = []
    for _ in range(5):
        pauses.append(look(wakeup, found=False))
        clock.now += pauses[-1]
    assert pauses == pytest.approx([SHORTEST, SHORTEST * 2, SHORTEST * 4, 0.1, 0.1])


def test_full_hands_mean_that_there_may_be_more(clock):
    wakeup = Wakeup(longest=1, clock=clock)
    look(wakeup, found=False)
    assert look(wakeup, found=True, more=True) == 0


def test_finding_some_starts_over(clock):
    wakeup = Wakeup(longest=1, clock=clock)
    for _ in range(8):
        look(wakeup, found=False)
    assert look(wakeup, found=True) == pytest.approx(SHORTEST)


def test_a_call_makes_a_look_due(clock):
    wakeup = Wakeup(longest=1, clock=clock)
    look(wakeup, found=False)
    wakeup.call()
    wakeup.call()
    assert wakeup.seconds_left() == 0
    assert look(wakeup, found=False) > 0


def test_a_call_during_a_look_is_not_lost(clock):
    wakeup = Wakeup(longest=1, clock=clock)
    wakeup.looking()
    wakeup.call()
    wakeup.looked(found=False, more=False)
    assert wakeup.seconds_left() == 0


def test_a_flow_that_is_left_alone_is_not_looked_at_whoever_calls(clock):
    wakeup = Wakeup(longest=1, clock=clock)
    wakeup.leave(5)
    wakeup.call()
    assert wakeup.seconds_left() == 5


@pytest.fixture
def wakeups(clock: Clock) -> Wakeups:
    return Wakeups(["busy", "idle", "other"], longest=1, clock=clock)


def make_idle(wakeups: Wakeups, clock: Clock) -> None:
    for _ in range(8):
        wakeups.looked(wakeups.looking([]), found={}, capacity=10)
        clock.now += wakeups.seconds_left()


def test_only_the_flow_that_was_called_is_looked_at(wakeups, clock):
    make_idle(wakeups, clock)
    wakeups.looked(wakeups.looking([]), found={}, capacity=10)
    wakeups.call("busy")
    assert wakeups.looking([]) == ["busy"]


def test_flows_of_reports_are_looked_at_with_those_that_are_due(wakeups, clock):
    wakeups.looked(wakeups.looking([]), found={"idle": 1}, capacity=10)
    clock.now += SHORTEST
    make_idle(wakeups, clock)
    wakeups.looked(wakeups.looking([]), found={}, capacity=10)
    assert wakeups.looking(["other"]) == ["other"]


def test_a_flow_that_brought_nothing_may_have_had_no_share(wakeups, clock):
    make_idle(wakeups, clock)
    wakeups.looked(wakeups.looking([]), found={"busy": 2}, capacity=2)
    assert wakeups.looking([]) == ["busy", "idle", "other"]


def test_a_flow_that_brought_nothing_from_its_share_is_not_looked_at_for_a_while(wakeups, clock):
    make_idle(wakeups, clock)
    wakeups.looked(wakeups.looking([]), found={"busy": 10}, capacity=10)
    assert wakeups.looking([]) == ["busy"]


def test_what_is_due_soon_is_looked_at_with_what_is_due(wakeups, clock):
    make_idle(wakeups, clock)
    wakeups.looked(wakeups.looking([]), found={}, capacity=10)
    clock.now += 0.95
    wakeups.call("idle")
    assert wakeups.looking([]) == ["busy", "idle", "other"]


def test_a_flow_that_is_left_alone_is_not_looked_at_for_its_reports(wakeups, clock):
    make_idle(wakeups, clock)
    wakeups.looked(wakeups.looking([]), found={}, capacity=10)
    wakeups.leave("busy", 5)
    assert wakeups.looking(["busy"]) == []
