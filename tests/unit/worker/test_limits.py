"""When a worker process has done enough."""

from __future__ import annotations

import pytest

from django_pgflow.worker import limits
from django_pgflow.worker.limits import Limits, resident_memory
from django_pgflow.worker.options import WorkerOptions


def test_without_limits_nothing_is_enough():
    assert Limits().count(10**9) == ""


def test_tasks_are_counted():
    counted = Limits(max_tasks=5)
    assert [counted.count(2) for _ in range(4)] == ["", "", "max_tasks", "max_tasks"]
    assert counted.reached == "max_tasks"


def test_no_more_tasks_are_taken_than_are_left():
    counted = Limits(max_tasks=10)
    counted.count(4)
    assert [counted.room(wanted=9, in_hand=in_hand) for in_hand in (0, 5, 6, 7)] == [6, 1, 0, 0]
    assert counted.room(wanted=2, in_hand=0) == 2
    assert Limits().room(wanted=9, in_hand=1000) == 9


def test_memory_is_compared_after_the_first_task():
    counted = Limits(max_memory=1)
    assert counted.count(0) == ""
    assert counted.count(1) == "max_memory"


def test_memory_below_the_limit_is_fine():
    assert Limits(max_memory=10**6).count(1) == ""


def test_memory_is_not_looked_at_for_every_task():
    counted = Limits(max_memory=10**6)
    counted.count(1)
    counted._max_memory = 1
    assert counted.count(1) == ""


def test_resident_memory_grows_with_what_is_held():
    before = resident_memory()
    held = bytearray(b"x" * (64 * 2**20))
    assert 50 < resident_memory() - before < 200
    assert held


def test_peak_memory_where_proc_is_missing(monkeypatch, tmp_path):
    now = resident_memory()
    monkeypatch.setattr(limits, "STATM", tmp_path / "absent")
    assert resident_memory() >= now * 0.9


@pytest.mark.parametrize(
    ("given", "supervised"),
    [({}, False), ({"processes": 2}, True), ({"max_tasks": 1}, True), ({"max_memory": 500}, True)],
)
def test_limits_need_a_supervisor(given, supervised):
    assert WorkerOptions.from_settings(**given).supervised is supervised
