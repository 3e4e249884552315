"""A task that kills its worker is failed in the end; those that were in the same hands are not."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from django_pgflow import client
from tests.acceptance.conftest import output, start, task_rows
from tests.acceptance.gates import settings
from tests.acceptance.test_supervisor import is_alive, pids
from tests.fixtures.worker import WorkerProcess, eventually, query

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]

DEADLINE = 200.0
"""Several workers die, and others are started in their place, later each time."""


@pytest.fixture
def supervise(start_worker: Callable[..., WorkerProcess]) -> Iterator[Callable[..., WorkerProcess]]:
    """Return a function that starts a supervisor of so many processes; all are ended after the test."""
    started: list[WorkerProcess] = []

    def run(processes: int, concurrency: int) -> WorkerProcess:
        flows = ["acc_deadly", "acc_count"]
        # A limit, so that one process has a supervisor, too.
        arguments = ["--processes", str(processes), "--concurrency", str(concurrency), "--max-tasks", "1000"]
        started.append(start_worker(*flows, *arguments, ready=False, **settings()))
        started[-1].wait_for_log("Worker started", count=processes, deadline=60)
        return started[-1]

    yield run
    for supervisor in started:
        supervisor.process.kill()
        supervisor.wait()
        for pid in filter(is_alive, pids(supervisor)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_for_failure(run_id: object) -> int:
    """Wait until a run has failed, see that it says why, and return how many workers died with its task."""
    eventually(lambda: client.get(run_id).status == "failed", "the poison to fail", deadline=DEADLINE)
    ((requeued, error),) = query(
        "select requeued_count, error_message from pgflow.step_tasks where run_id = %s", run_id
    )
    assert error.startswith("Poison: its worker died while it had the task, as ")
    return requeued + 1


@pytest.mark.parametrize("means", ["exit", "kill"])
def test_a_task_that_kills_its_workers_is_failed_and_no_other(supervise, means):
    before = start("acc_deadly", ["0.3"] * 4) if _compiled(supervise) else None
    poison = start("acc_deadly", [means])
    after, elsewhere = start("acc_deadly", ["0.3"] * 5), start("acc_count", [1, 2, 3])
    supervisor = supervise(2, 10)
    deaths = wait_for_failure(poison)
    assert output(before) == {"live": ["lived"] * 4}
    assert output(after) == {"live": ["lived"] * 5}
    assert output(elsewhere) == {"total": 12}
    how = "signal=SIGKILL" if means == "kill" else "code=1"
    assert supervisor.log.count(f" {how} ") == deaths, supervisor.log
    for run_id in (before, after, elsewhere):
        assert {row[2:] for row in task_rows(run_id)} == {("completed", 1)}, "an innocent task was charged"


def test_one_worker_is_enough(supervise):
    assert _compiled(supervise)
    innocents = [start("acc_deadly", ["0.1"] * 5)]
    poison = start("acc_deadly", ["kill"])
    innocents.append(start("acc_deadly", ["0.1"] * 20))
    supervise(1, 30)
    wait_for_failure(poison)
    for run_id, count in zip(innocents, (5, 20), strict=True):
        assert output(run_id) == {"live": ["lived"] * count}


def test_two_poisons_do_not_take_others_with_them(supervise):
    assert _compiled(supervise)
    first = start("acc_deadly", ["kill"])
    innocent = start("acc_deadly", ["0.2"] * 6)
    second = start("acc_deadly", ["exit"])
    supervise(2, 8)
    wait_for_failure(first)
    wait_for_failure(second)
    assert output(innocent) == {"live": ["lived"] * 6}


def _compiled(supervise: Callable[..., WorkerProcess]) -> bool:
    """Write the flows to the database, as any worker does, so that runs can wait for the workers that are to die."""
    supervisor = supervise(1, 1)
    supervisor.send(signal.SIGTERM)
    return supervisor.wait() == 0
