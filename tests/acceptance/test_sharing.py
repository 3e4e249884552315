"""Any number of workers share the work."""

from __future__ import annotations

import json
import signal

import pytest

from tests.acceptance.conftest import ended, output, start
from tests.fixtures.worker import eventually, query

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize(("flow_slug", "step_slug"), [("acc_count", "tick"), ("acc_acount", "atick")])
def test_three_workers_do_each_task_of_a_map_once(start_worker, ledger, flow_slug, step_slug):
    workers = [start_worker("--concurrency", "4", flow_slug) for _ in range(3)]
    run = ended(start(flow_slug, list(range(300))))
    assert run.status == "completed"
    rows = ledger("task_index, attempt, pid", f"step_slug = '{step_slug}'")
    assert sorted(row[0] for row in rows) == list(range(300))
    assert {row[1] for row in rows} == {1}
    assert len({row[2] for row in rows}) == 3, "a worker had no share"
    for worker in workers:
        assert "Report refused" not in worker.log


def test_a_result_reaches_the_run(start_worker):
    start_worker("acc_count")
    assert output(start("acc_count", [1, 2, 3])) == {"total": 12}


def test_worker_that_starts_later_finds_the_work(start_worker):
    start_worker("--until-idle", "acc_count").wait()
    run_id = start("acc_count", [1])
    worker = start_worker("--until-idle", "acc_count")
    assert worker.wait() == 0
    assert ended(run_id).status == "completed"


def test_the_result_of_a_worker_that_was_frozen_for_too_long_is_refused(start_worker, ledger):
    frozen = start_worker("acc_slow")
    run_id = start("acc_slow", [1.5])
    eventually(ledger, "the task to begin")
    frozen.send(signal.SIGSTOP)
    query(
        "update pgflow.step_tasks set queued_at = queued_at - interval '1 hour', "
        "started_at = started_at - interval '1 hour'"
    )
    other = start_worker("acc_slow", TEST_PGFLOW=json.dumps({"WORKER": {"sweep_interval": 0.2}}))
    other.wait_for_log("Task started")
    frozen.send(signal.SIGCONT)
    frozen.wait_for_log("Report refused")
    assert output(run_id) == {"doze": ["slept"]}
    assert query("select last_worker_id::text from pgflow.step_tasks")[0][0] in other.log
    assert "Report refused" not in other.log
