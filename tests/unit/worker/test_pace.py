"""How many tasks a worker claims ahead."""

from __future__ import annotations

import pytest

from django_pgflow.worker.pace import HORIZON, MEMORY, MOST, STILLNESS, Pace


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
    return Pace(slots=10, clock=clock)


def test_nothing_is_claimed_ahead_before_a_task_has_ended(pace):
    assert pace.ahead() == 0


def test_as_much_is_claimed_ahead_as_will_end_soon(pace):
    pace.ended(0.01)
    assert pace.ahead() == 10 * HORIZON / 0.01


def test_slow_tasks_are_not_claimed_ahead(pace):
    pace.ended(10 * HORIZON + 0.01)
    assert pace.ahead() == 0


def test_there_is_a_limit(pace):
    pace.ended(0.0)
    assert pace.ahead() == MOST


def test_slow_tasks_after_quick_ones_are_soon_believed(pace):
    for _ in range(1000):
        pace.ended(0.0001)
    for _ in range(2 * MEMORY):
        pace.ended(1.0)
    assert pace.ahead() == 0


def test_a_single_slow_task_does_not_stop_it(pace):
    for _ in range(1000):
        pace.ended(0.0001)
    pace.ended(0.5)
    assert pace.ahead() > 0


def test_nothing_is_claimed_ahead_while_nothing_ends(pace, clock):
    """All slots may have got slow tasks after many quick ones: more would only wait, and be given back, for ever."""
    pace.ended(0.0001)
    assert pace.ahead() == MOST
    clock.now += STILLNESS + 0.01
    assert pace.ahead() == 0
    pace.ended(0.0001)
    assert pace.ahead() == MOST
