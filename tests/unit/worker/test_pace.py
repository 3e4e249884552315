"""How many tasks a worker claims ahead."""

from __future__ import annotations

import pytest

from django_pgflow.worker.pace import HORIZON, MEMORY, MOST, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(clock)


def work(pace: Pace, clock: Clock, *, rate: float, seconds: float = 1.0) -> None:
    for _ in range(100):
        clock.now += seconds / 100
        pace.ended(round(rate * seconds / 100))


def test_nothing_is_claimed_ahead_before_a_task_has_ended(pace):
    assert pace.ahead() == 0


def test_as_much_is_claimed_ahead_as_will_end_soon(pace, clock):
    work(pace, clock, rate=2000)
    assert pace.ahead() == pytest.approx(2000 * HORIZON, rel=0.1)


def test_slow_tasks_are_not_claimed_ahead(pace, clock):
    for _ in range(100):
        clock.now += 0.1
        pace.ended(1)
    assert pace.ahead() == 0


def test_there_is_a_limit(pace, clock):
    work(pace, clock, rate=1_000_000)
    assert pace.ahead() == MOST


def test_nothing_is_claimed_ahead_once_nothing_ends_any_more(pace, clock):
    work(pace, clock, rate=2000)
    clock.now += MEMORY + 0.01
    assert pace.ahead() == 0


def test_a_pause_is_not_mistaken_for_haste(pace, clock):
    work(pace, clock, rate=2000)
    clock.now += 60
    pace.ended(1)
    assert pace.ahead() == 0
