"""A worker ends in order: no task is lost, no interrupted attempt counts."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter

import pytest

from tests.acceptance.conftest import ended, output, start, task_rows
from tests.acceptance.gates import Gate, settings
from tests.fixtures.worker import eventually, query

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_lets_running_tasks_end(start_worker, ledger, number):
    worker = start_worker("acc_slow", "--concurrency", "2")
    run_id = start("acc_slow", [1.0, 1.0, 1.0])
    eventually(lambda: len(ledger()) == 2, "two tasks to begin")
    worker.send(number)
    assert worker.wait() == 0
    assert sorted(row[2] for row in task_rows(run_id)) == ["completed", "completed", "queued"]
    assert query("select stopped_at is not null from pgflow.workers") == [(True,)]


@pytest.mark.parametrize("flow_slug", ["acc_slow", "acc_aslow"])
def test_what_outlasts_grace_is_given_back_and_its_attempt_does_not_count(start_worker, ledger, flow_slug):
    worker = start_worker(flow_slug, "--grace", "0.3")
    run_id = start(flow_slug, [20.0])
    eventually(ledger, "the task to begin")
    worker.send(signal.SIGTERM)
    begun = time.monotonic()
    assert worker.wait() == 0
    assert time.monotonic() - begun < 10
    assert [row[2:] for row in task_rows(run_id)] == [("queued", 0)]

    query("update pgflow.runs set input = '[0]' where run_id = %s", run_id)
    query("update pgflow.step_tasks set input = '0' where run_id = %s", run_id)
    start_worker(flow_slug)
    assert ended(run_id).status == "completed"
    assert len(ledger(where="note = 'end'")) == 1
    assert [row[2:] for row in task_rows(run_id)] == [("completed", 1)]


def test_a_cancelled_coroutine_may_clean_up(start_worker, ledger):
    worker = start_worker("acc_aslow", "--grace", "0.1")
    start("acc_aslow", [20.0])
    eventually(ledger, "the task to begin")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert ledger("note") == [("begin",), ("cancelled",)]


def test_second_signal_gives_back_everything_at_once(start_worker, ledger):
    worker = start_worker("acc_slow", "--grace", "60")
    run_id = start("acc_slow", [30.0, 30.0])
    eventually(lambda: len(ledger()) == 2, "two tasks to begin")
    worker.send(signal.SIGTERM)
    worker.wait_for_log("Worker stopping")
    worker.send(signal.SIGTERM)
    begun = time.monotonic()
    assert worker.wait() == 0
    assert time.monotonic() - begun < 10
    assert [row[2:] for row in task_rows(run_id)] == [("queued", 0)] * 2


def test_a_deprecated_worker_finishes_and_ends(start_worker, ledger):
    worker = start_worker("acc_slow", TEST_PGFLOW=json.dumps({"WORKER": {"heartbeat_interval": 0.2, "grace": 0}}))
    run_id = start("acc_slow", [1.5])
    eventually(ledger, "the task to begin")
    query("update pgflow.workers set deprecated_at = now()")
    worker.wait_for_log("by=deprecation")
    assert worker.wait() == 0
    assert [row[2] for row in task_rows(run_id)] == ["completed"]


def test_until_idle_waits_for_retries(start_worker):
    start_worker("--until-idle", "acc_retry").wait()
    run_id = start("acc_retry", {"failures": 1})
    worker = start_worker("--until-idle", "acc_retry")
    assert worker.wait() == 0
    assert ended(run_id).status == "completed"
    assert task_rows(run_id) == [("third_time", 0, "completed", 2)]
    assert "Task failed, will be retried" in worker.log


def test_tasks_that_wait_for_a_slot_are_given_back_at_once(start_worker, tmp_path):
    gate = Gate(tmp_path / "gate")
    arguments = ["acc_gated", "--concurrency", "2", "--grace", "60"]
    worker = start_worker(*arguments, **settings())
    # Quick ones first: where tasks end fast, others are claimed ahead.
    run_id = start("acc_gated", [""] * 300 + [str(gate)] * 20)
    eventually(lambda: len(gate.lines()) == 2, "two tasks to begin")
    worker.send(signal.SIGTERM)
    eventually(
        lambda: query("select count(*) from pgflow.step_tasks where status = 'started'") == [(2,)],
        "the others to be given back",
    )
    assert worker.process.poll() is None, "it still runs two"
    gate.open()
    assert worker.wait() == 0
    assert Counter(row[2:] for row in task_rows(run_id)) == {("completed", 1): 302, ("queued", 0): 18}

    start_worker(*arguments, **settings())
    assert output(run_id) == {"wait": list(range(320))}
    assert {row[2:] for row in task_rows(run_id)} == {("completed", 1)}
    assert len(gate.lines()) == 20


def test_the_first_signal_of_a_worker_with_nothing_to_do_ends_it(start_worker):
    worker = start_worker("acc_slow", "--grace", "3600")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert query("select stopped_at is not null from pgflow.workers") == [(True,)]


def test_what_a_worker_gave_back_when_it_ended_is_nobodys_loss(start_worker, tmp_path):
    gate = Gate(tmp_path / "gate")
    worker, other = (start_worker("acc_gated", "--concurrency", "1", "--grace", "0", **settings()) for _ in range(2))
    run_id = start("acc_gated", [str(gate)] * 2)
    eventually(lambda: len(gate.lines()) == 2, "both tasks to begin")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    gate.open()
    assert output(run_id) == {"wait": [0, 1]}
    assert {row[2:] for row in task_rows(run_id)} == {("completed", 1)}
    assert query("select sum(requeued_count) from pgflow.step_tasks") == [(0,)]
    assert "Lost workers found" not in other.log
