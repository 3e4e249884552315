"""A worker that is gone is noticed at once, one that is only cut off is not taken for gone."""

from __future__ import annotations

import signal
import time
from collections import Counter

import pytest

from tests.acceptance.conftest import ended, output, start, task_rows
from tests.acceptance.gates import Gate, settings
from tests.acceptance.test_database_gone import cut
from tests.fixtures.worker import WorkerProcess, database_url, eventually, query

pytestmark = pytest.mark.acceptance


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "gate")


@pytest.fixture
def start_gated(start_worker):
    """Return a function that starts a worker with so many slots."""

    def run(concurrency: int = 1, *arguments: str, **worker: object) -> WorkerProcess:
        return start_worker(
            "acc_gated", "acc_count", "--concurrency", str(concurrency), *arguments, **settings(**worker)
        )

    return run


def locks() -> list[tuple[str, int]]:
    """Return (worker, process of the server) of each lock of a worker that is held."""
    return query(
        "select w.worker_id::text, l.pid from pgflow.workers w join pg_locks l on l.locktype = 'advisory' "
        "and (l.classid::bigint << 32 | l.objid::bigint) = django_pgflow.worker_lock(w.worker_id) order by 1"
    )


def looks(count: int = 3) -> None:
    """Wait until the workers have looked that often for lost ones: two of them look twice a second, each."""
    time.sleep(count)


def test_tasks_of_a_killed_worker_are_done_long_before_their_timeout(start_gated, gate):
    killed = start_gated(3)
    run_id = start("acc_gated", [str(gate)] * 3)
    eventually(lambda: len(gate.lines()) == 3, "three tasks to begin")
    other = start_gated(3)
    killed.send(signal.SIGKILL)
    other.wait_for_log("Lost workers found count=1 tasks_given_back=3")
    gate.open()
    assert output(run_id) == {"wait": [0, 1, 2]}
    assert {line.pid for line in gate.lines()} == {killed.process.pid, other.process.pid}
    assert {row[2:] for row in task_rows(run_id)} == {("completed", 1)}, "the interrupted attempts counted"
    assert query("select count(*) from pgflow.workers where stopped_at is null") == [(1,)]


def test_a_worker_alone_is_succeeded_by_the_next(start_gated, gate):
    killed = start_gated()
    run_id = start("acc_gated", [str(gate)])
    eventually(gate.lines, "the task to begin")
    killed.send(signal.SIGKILL)
    killed.wait()
    gate.open()
    start_gated()
    assert output(run_id) == {"wait": [0]}


@pytest.mark.parametrize("purpose", ["exchange", "lifecycle", "%"])
@pytest.mark.parametrize(
    ("concurrency", "listen"), [(1, True), (2, True), (1, False)], ids=["busy", "with a free slot", "not listening"]
)
def test_a_worker_whose_connection_was_cut_keeps_its_task(start_gated, gate, purpose, concurrency, listen):
    workers = [start_gated(concurrency, listen=listen) for _ in range(2)]
    run_id = start("acc_gated", [str(gate)] * 2)
    eventually(lambda: len(gate.lines()) == 2, "both tasks to begin")
    held = eventually(lambda: len(found := locks()) == 2 and found, "both locks to be held")
    cut(purpose)
    looks()
    assert [worker_id for worker_id, _ in locks()] == [worker_id for worker_id, _ in held], "a lock is free"
    gate.open()
    assert output(run_id) == {"wait": [0, 1]}
    assert len(gate.lines()) == 2, "a task was done twice"
    assert query("select count(*) from pgflow.workers where stopped_at is null") == [(2,)]
    for worker in workers:
        assert "Lost workers found" not in worker.log
        assert "taken for lost" not in worker.log
        assert "Report refused" not in worker.log
        assert "Traceback" not in worker.log


def test_the_late_report_of_a_frozen_worker_is_refused_and_it_works_on(start_gated, gate):
    frozen = start_gated()
    run_id = start("acc_gated", [str(gate)])
    eventually(gate.lines, "the task to begin")
    frozen.send(signal.SIGSTOP)
    cut("%")
    other = start_gated()
    other.wait_for_log("Lost workers found count=1 tasks_given_back=1")
    eventually(lambda: len(gate.lines()) == 2, "the other to begin")
    gate.open()
    assert output(run_id) == {"wait": [0]}

    frozen.send(signal.SIGCONT)
    frozen.wait_for_log("Report refused")
    frozen.wait_for_log("Worker was taken for lost")
    assert len(gate.lines("end")) == 2
    assert task_rows(run_id) == [("wait", 0, "completed", 1)]
    ((worker_id,),) = query("select last_worker_id::text from pgflow.step_tasks where run_id = %s", run_id)
    assert worker_id in other.log
    assert "Report refused" not in other.log

    eventually(lambda: len(locks()) == 2, "the lock to be held again")
    eventually(
        lambda: query("select count(*) from pgflow.workers where stopped_at is null") == [(2,)], "it to be registered"
    )
    other.send(signal.SIGTERM)
    assert other.wait() == 0
    assert output(start("acc_count", [1, 2])) == {"total": 6}
    frozen.send(signal.SIGTERM)
    assert frozen.wait() == 0


def test_a_frozen_worker_whose_connection_stands_is_not_lost_at_once(start_gated, gate):
    frozen = start_gated()
    run_id = start("acc_gated", [str(gate)])
    eventually(gate.lines, "the task to begin")
    other = start_gated()
    frozen.send(signal.SIGSTOP)
    looks()
    frozen.send(signal.SIGCONT)
    gate.open()
    assert output(run_id) == {"wait": [0]}
    assert len(gate.lines()) == 1
    assert "Lost workers found" not in other.log


def test_behind_a_pooler_the_heartbeat_decides(start_worker, gate, pgbouncer):
    pooled = {"DATABASE_URL": pgbouncer.url(database_url()) + "?DISABLE_SERVER_SIDE_CURSORS=True"}
    first, second = (
        start_worker("acc_gated", "--concurrency", "1", **settings(heartbeat_interval=0.5), **pooled) for _ in range(2)
    )
    run_id = start("acc_gated", [str(gate)] * 2)
    eventually(lambda: len(gate.lines()) == 2, "both tasks to begin")
    assert locks() == []
    first.send(signal.SIGKILL)
    second.wait_for_log("Lost workers found count=1 tasks_given_back=1", deadline=60)
    gate.open()
    assert output(run_id) == {"wait": [0, 1]}
    by_process = Counter(line.pid for line in gate.lines())
    assert by_process == {first.process.pid: 1, second.process.pid: 2}
    assert "taken for lost" not in second.log
    assert {row[2:] for row in task_rows(run_id)} == {("completed", 1)}


def test_a_worker_that_was_noted_as_stopped_registers_again(start_gated):
    worker = start_gated(1, heartbeat_interval=0.2)
    query("update pgflow.workers set stopped_at = now()")
    worker.wait_for_log("Worker was taken for lost, and its tasks given back; going on")
    eventually(lambda: query("select stopped_at from pgflow.workers") == [(None,)], "it to be registered")
    assert ended(start("acc_count", [1])).status == "completed"


def test_what_waits_for_a_slot_goes_to_another_worker(start_gated, gate):
    crowded = start_gated(2)
    run_id = start("acc_gated", [""] * 300 + [str(gate)] * 20)
    eventually(lambda: len(gate.lines()) == 2, "two tasks to begin")
    given_back = "select count(*) from pgflow.step_tasks where status = 'started'"
    eventually(lambda: query(given_back) == [(2,)], "the others to be given back")
    other = start_gated(18)
    eventually(lambda: len(gate.lines()) == 20, "all tasks to begin")
    gate.open()
    assert output(run_id) == {"wait": list(range(320))}
    by_process = Counter(line.pid for line in gate.lines())
    assert by_process == {crowded.process.pid: 2, other.process.pid: 18}
    assert {row[2:] for row in task_rows(run_id)} == {("completed", 1)}


def test_a_worker_killed_with_tasks_claimed_ahead_loses_and_doubles_none(start_gated, ledger):
    killed, other = start_gated(4), start_gated(4)
    run_id = start("acc_count", list(range(2000)))
    eventually(lambda: len(ledger(where=f"pid = {killed.process.pid}")) > 100, "some tasks")
    killed.send(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert eventually(lambda: ended(run_id), "the end").status == "completed"
    assert output(run_id) == {"total": sum(range(2000)) * 2}
    done = Counter((index, attempt) for index, attempt in ledger("task_index, attempt"))
    assert {index for index, _ in done} == set(range(2000))
    assert max(done.values()) == 1, "an attempt was made twice"
    assert {row[2:] for row in task_rows(run_id)} == {("completed", 1)}
    assert "Lost workers found count=1" in other.log
