"""A worker outlives its database."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time

import environ
import psycopg
import pytest

from tests.acceptance.conftest import ended, output, start, task_rows
from tests.fixtures.worker import DEADLINE, WorkerProcess, eventually, query

pytestmark = pytest.mark.acceptance

LEDGER = (
    "create table ledger (id bigserial primary key, run_id uuid, step_slug text, task_index int, attempt int, "
    "pid int, thread bigint, note text, at timestamptz default clock_timestamp())"
)


def cut(purpose: str) -> None:
    """Cut the connections of workers for a purpose."""
    query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like %s",
        f"django-pgflow {purpose}",
    )


def test_cut_connections_are_made_again(start_worker):
    worker = start_worker("acc_count")
    for round in range(1, 4):
        cut("%")
        worker.wait_for_log("Database connection is back", count=round)
        assert output(start("acc_count", [1, 2])) == {"total": 6}
    assert "Traceback" not in worker.log


def test_listening_is_resumed(start_worker):
    worker = start_worker("acc_count", "--poll-interval", "30")
    output(start("acc_count", [1]))
    cut("lifecycle")
    worker.wait_for_log("Database connection is back")
    waiting = "select 1 from django_pgflow.waiting_workers where flow_slug = 'acc_count'"
    eventually(lambda: query(waiting), "the worker to wait")
    time.sleep(3)  # its next look by itself would come too late
    begun = time.monotonic()
    assert output(start("acc_count", [1, 2])) == {"total": 6}
    assert time.monotonic() - begun < 2


def test_results_that_could_not_be_reported_are_reported_later(start_worker, ledger):
    worker = start_worker("acc_slow", "--poll-interval", "30")
    run_id = start("acc_slow", [0.5])
    eventually(ledger, "the task to begin")
    cut("exchange")
    assert ended(run_id).status == "completed"
    assert [row[2:] for row in task_rows(run_id)] == [("completed", 1)]
    assert worker.log.count("Database connection lost") == 1


def test_cuts_under_load_lose_nothing(start_worker, ledger):
    workers = [start_worker("acc_count", "--concurrency", "4") for _ in range(2)]
    run_id = start("acc_count", list(range(400)))
    for _ in range(5):
        before = len(ledger())
        eventually(lambda before=before: len(ledger()) > before or None, "progress", deadline=10)
        cut("exchange")
    assert output(run_id) == {"total": sum(range(400)) * 2}
    for worker in workers:
        assert "Traceback" not in worker.log


def test_worker_survives_a_crash_of_postgres(own_server, tmp_path):
    url = own_server.url("postgres")
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.acceptance.settings"}
    subprocess.run([sys.executable, "-m", "django", "migrate", "-v0"], env=environment, check=True)
    config = environ.Env.db_url_config(url)
    dsn = psycopg.conninfo.make_conninfo(host=config["HOST"], user=config["USER"], dbname=config["NAME"])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(LEDGER)
        (run_id,) = connection.execute(
            "select run_id from pgflow.start_flow('acc_count', %s)", [json.dumps(list(range(600)))]
        ).fetchone()
    worker = WorkerProcess(["acc_count"], tmp_path / "worker.log", {"DATABASE_URL": url})
    try:
        worker.wait_for_log("Task completed", count=50)
        own_server.restart("immediate")
        worker.wait_for_log("Database connection is back")
        deadline = time.monotonic() + DEADLINE
        status = None
        while status != "completed" and time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(dsn) as connection:
                (status, result) = connection.execute(
                    "select status, output from pgflow.runs where run_id = %s", [run_id]
                ).fetchone()
            time.sleep(0.1)
        assert status == "completed", worker.log[-3000:]
        assert result == {"total": sum(range(600)) * 2}
        lost = worker.log.count("Database connection lost")
        assert lost <= 2
        own_server.stop("immediate")
        worker.wait_for_log("Database connection lost", count=lost + 1)
        worker.process.terminate()
        assert worker.wait() == 0, "with nothing to report, a worker ends without its database"
        assert "Traceback" not in worker.log
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()
