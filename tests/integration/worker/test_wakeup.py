"""When the worker looks at the queues."""

from __future__ import annotations

import pytest

from django_pgflow.worker.wakeup import SHORTEST, Wakeup


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def look(wakeup: Wakeup, *, found: int, capacity: int = 10) -> float:
    wakeup.looking()
    wakeup.looked(found=found, capacity=capacity)
    return wakeup.seconds_left()


def test_first_look_is_due_at_once(clock):
    assert Wakeup(longest=1, clock=clock).seconds_left() == 0


def test_pauses_grow_up_to_the_longest_while_nothing_is_found(clock):
    wakeup = Wakeup(longest=0.1, clock=clock)
    pauses = []
    for _ in range(5):
        pauses.append(look(wakeup, found=0))
        clock.now += pauses[-1]
    assert pauses == pytest.approx([SHORTEST, SHORTEST * 2, SHORTEST * 4, 0.1, 0.1])


def test_full_hands_mean_that_there_may_be_more(clock):
    wakeup = Wakeup(longest=1, clock=clock)
    look(wakeup, found=0)
    assert look(wakeup, found=10, capacity=10) == 0


def test_finding_some_starts_over(clock):
    wakeup = Wakeup(longest=1, clock=clock)
    for _ in range(8):
        look(wakeup, found=0)
    assert look(wakeup, found=3) == pytest.approx(SHORTEST)


def test_a_call_makes_a_look_due(clock):
    wakeup = Wakeup(longest=1, clock=clock)
    look(wakeup, found=0)
    wakeup.call()
    wakeup.call()
    assert wakeup.seconds_left() == 0
    assert look(wakeup, found=0) > 0


def test_a_call_during_a_look_is_not_lost(clock):
    wakeup = Wakeup(longest=1, clock=clock)
    wakeup.looking()
    wakeup.call()
    wakeup.looked(found=0, capacity=10)
    assert wakeup.seconds_left() == 0


def test_reporting_without_a_free_slot_is_no_look(clock):
    wakeup = Wakeup(longest=1, clock=clock)
    for _ in range(8):
        pause = look(wakeup, found=0)
    assert look(wakeup, found=0, capacity=0) == pause
