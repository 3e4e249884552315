"""``pause``: how often workers do what long queues make dear; ``silence``: when they count as lost."""

from __future__ import annotations

import pytest

from django_pgflow.worker.lifecycle import LONG_SILENCE, LONGEST_PAUSE, pause, silence


@pytest.mark.parametrize(("took", "workers"), [(0.002, 1), (0.002, 100), (0.7, 1)])
def test_what_is_cheap_is_done_each_interval(took: float, workers: int) -> None:
    assert pause(15.0, took, workers) == 15.0


def test_what_takes_long_is_done_by_each_the_less_the_more_workers_there_are() -> None:
    assert pause(15.0, 2.0, 1) == 40.0
    assert pause(15.0, 2.0, 10) == 400.0


def test_nothing_is_put_off_for_long() -> None:
    assert pause(15.0, 2.0, 1000) == LONGEST_PAUSE
    assert pause(1000.0, 2.0, 1000) == 1000.0


def test_a_worker_without_a_lock_is_lost_after_four_missed_signs_of_life() -> None:
    assert silence(5.0, holds_lock=False) == 20
    assert silence(0.2, holds_lock=False) == 10


def test_a_worker_with_a_lock_may_be_silent_for_longer_but_never_less_than_it_is_by_its_settings() -> None:
    assert silence(5.0, holds_lock=True) == LONG_SILENCE
    assert silence(90.0, holds_lock=True) == 360
