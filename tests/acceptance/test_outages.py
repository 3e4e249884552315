"""Postgres is gone while handlers run: what they return is kept, nobody is taken for lost, the killed are found."""

from __future__ import annotations

import signal

import pytest

from tests.acceptance.crashing import OwnDatabase, own_database
from tests.acceptance.gates import Gate
from tests.fixtures.worker import WorkerProcess, eventually

__all__ = ["own_database"]

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

LOST, BACK = "Database connection lost", "Database connection is back"


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "gate")


def run_until_gone(database: OwnDatabase, gate: Gate, workers: int, *arguments: str) -> tuple[list[WorkerProcess], str]:
    """Let workers begin two tasks each, and crash their database; return them and the run."""
    started = [database.start_worker("acc_gated", "--concurrency", "2", *arguments) for _ in range(workers)]
    run_id = database.start("acc_gated", [str(gate)] * 2 * workers)
    eventually(lambda: len(gate.lines()) == 2 * workers, "all tasks to begin")
    database.crash()
    for worker in started:
        worker.wait_for_log(LOST)
    return started, run_id


def test_results_of_handlers_that_ended_meanwhile_are_reported_afterwards(own_database, gate):
    workers, run_id = run_until_gone(own_database, gate, 2)
    gate.open()
    eventually(lambda: len(gate.lines("end")) == 4, "all handlers to end")
    own_database.come_back()
    assert own_database.output(run_id) == {"wait": [0, 1, 2, 3]}
    # Until well after the time in which nothing is concluded from locks.
    started_at = "select clock_timestamp() > pg_postmaster_start_time() + interval '13 seconds'"
    eventually(lambda: own_database.query(started_at)[0][0], "the looks for lost workers", deadline=60)
    assert len(gate.lines()) == 4, "a task was done twice"
    assert own_database.attempts(run_id) == [("completed", 1)] * 4
    assert own_database.query("select count(*) from pgflow.workers where stopped_at is null") == [(2,)]
    for worker in workers:
        assert (worker.log.count(LOST), worker.log.count(BACK)) == (1, 1)
        for text in ("Lost workers found", "taken for lost", "Report refused", "Traceback"):
            assert text not in worker.log


def test_handlers_that_still_run_afterwards_are_left_alone(own_database, gate):
    workers, run_id = run_until_gone(own_database, gate, 2)
    own_database.come_back()
    for worker in workers:
        worker.wait_for_log(BACK)
    started_at = "select clock_timestamp() > pg_postmaster_start_time() + interval '13 seconds'"
    eventually(lambda: own_database.query(started_at)[0][0], "the looks for lost workers", deadline=60)
    gate.open()
    assert own_database.output(run_id) == {"wait": [0, 1, 2, 3]}
    assert len(gate.lines()) == 4, "a task was done twice"
    assert not any("Lost workers found" in worker.log for worker in workers)


def test_tasks_of_a_worker_killed_meanwhile_are_done_by_another(own_database, gate):
    (killed, other), run_id = run_until_gone(own_database, gate, 2)
    killed.send(signal.SIGKILL)
    killed.wait()
    own_database.come_back()
    gate.open()
    other.wait_for_log("Lost workers found count=1 tasks_given_back=2", deadline=60)
    assert own_database.output(run_id) == {"wait": [0, 1, 2, 3]}
    assert own_database.attempts(run_id) == [("completed", 1)] * 4
    done = [line.pid for line in gate.lines()]
    assert (done.count(killed.process.pid), done.count(other.process.pid)) == (2, 4)


def test_told_to_stop_meanwhile_it_reports_if_the_database_is_back_in_time(own_database, gate):
    (worker,), run_id = run_until_gone(own_database, gate, 1, "--grace", "60")
    worker.send(signal.SIGTERM)
    worker.wait_for_log("Worker stopping")
    gate.open()
    eventually(lambda: len(gate.lines("end")) == 2, "the handlers to end")
    own_database.come_back()
    assert worker.wait() == 0
    assert own_database.output(run_id) == {"wait": [0, 1]}
    assert own_database.query("select stopped_at is not null from pgflow.workers") == [(True,)]


def test_told_to_stop_meanwhile_it_says_what_it_could_not_report_and_another_does_that(own_database, gate):
    (worker,), run_id = run_until_gone(own_database, gate, 1, "--grace", "1")
    gate.open()
    worker.send(signal.SIGTERM)
    assert worker.wait(60) == 1
    assert "Worker could not report all tasks count=2" in worker.log
    own_database.come_back()
    other = own_database.start_worker("acc_gated")
    other.wait_for_log("Lost workers found count=1 tasks_given_back=2", deadline=60)
    assert own_database.output(run_id) == {"wait": [0, 1]}
    assert own_database.attempts(run_id) == [("completed", 1)] * 2
    other.send(signal.SIGTERM)
    assert other.wait() == 0


def test_a_second_signal_meanwhile_ends_it_soon(own_database, gate):
    (worker,), _ = run_until_gone(own_database, gate, 1, "--grace", "3600")
    worker.send(signal.SIGTERM)
    worker.wait_for_log("Worker stopping")
    worker.send(signal.SIGTERM)
    assert worker.wait(60) == 1
    assert "Worker told to stop at once by=SIGTERM" in worker.log
    assert gate.lines("end") == []
