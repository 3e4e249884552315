"""Everything works through PgBouncer in transaction mode, where two connections to the server serve all clients."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import environ
import psycopg
import pytest
from django.contrib.auth.models import Group

from django_pgflow import client
from tests.acceptance.conftest import output, start
from tests.fixtures.pgbouncer import PgBouncer
from tests.fixtures.worker import WorkerProcess, database_url, eventually, query
from tests.migrations.conftest import Scratch, database

pytestmark = pytest.mark.acceptance

SETTINGS = {"FLOW_MODULES": ["tests.acceptance.flows", "tests.acceptance.pooler_flows"]}


def pooled_url(pgbouncer: PgBouncer, direct: str) -> str:
    """Return the URL as a project has it: Django's documentation asks for the option."""
    return pgbouncer.url(direct) + "?DISABLE_SERVER_SIDE_CURSORS=True"


@pytest.fixture
def start_pooled(pgbouncer, start_worker) -> Callable[..., WorkerProcess]:
    """Return a function that starts a worker whose connections all go through the pooler."""

    def start_it(*arguments: str, **worker: Any) -> WorkerProcess:
        return start_worker(
            *arguments,
            DATABASE_URL=pooled_url(pgbouncer, database_url()),
            TEST_PGFLOW=json.dumps({**SETTINGS, "WORKER": worker}),
        )

    return start_it


def run_python(code: str, url: str) -> str:
    """Run a script of a project that uses a database, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", f"import django\ndjango.setup()\n{code}"],
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "tests.acceptance.settings",
            "TEST_PGFLOW": json.dumps(SETTINGS),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_workers_do_chains_maps_and_retries(start_pooled, ledger):
    workers = [start_pooled("acc_groups", "acc_count", "acc_acount", "acc_retry", "--concurrency", "4") for _ in "ab"]
    flows = {
        start("acc_groups", {"prefix": "G", "count": 30}): {"count": {"renamed": 30, "found": 30}},
        start("acc_count", list(range(300))): {"total": sum(range(300)) * 2},
        start("acc_acount", list(range(30))): {"atick": [number * 2 for number in range(30)]},
        start("acc_retry", {"failures": 1}): {"third_time": 2},
    }
    for run_id, expected in flows.items():
        assert output(run_id) == expected
    assert Group.objects.count() == 30
    assert len({row[0] for row in ledger("pid", "step_slug = 'tick'")}) == 2, "a worker had no share"
    for worker in workers:
        assert "Connected through a transaction pooler: polling every 1 s instead of LISTEN" in worker.log
        assert "Traceback" not in worker.log
        assert "Report refused" not in worker.log
        assert "Database connection lost" not in worker.log
    assert query("select * from django_pgflow.waiting_workers") == [], "nobody listens, so nobody is to be told"
    server = query("select count(*) from pg_stat_activity where application_name like 'django-pgflow%%'")
    assert server[0][0] <= 2, "they did not go through the pooler"


def test_projects_start_and_wait_through_it(start_pooled, pgbouncer):
    start_pooled("acc_groups")
    printed = run_python(
        """
import asyncio
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from tests.acceptance.pooler_flows import groups
with transaction.atomic():
    run = groups.start(prefix="A", count=3)
    others = groups.bulk_start([{"prefix": "B", "count": 2}, {"prefix": "C", "count": 1}])
print(sorted(run.result(timeout=30)["count"].items()), [other.join(timeout=30) for other in others])
async def main():
    run = await groups.astart(prefix="D", count=4)
    print((await run.aresult(timeout=30))["count"]["found"])
asyncio.run(main())
admin = Client()
admin.force_login(User.objects.create_superuser("Ada"))
pages = ["run/", f"run/{run.pk}/change/", "stepstaterow/", "flow/", "worker/"]
print([admin.get(f"/admin/pgflow/{page}").status_code for page in pages])
""",
        pooled_url(pgbouncer, database_url()),
    )
    assert printed.splitlines() == [
        "[('found', 3), ('renamed', 3)] ['completed', 'completed']",
        "4",
        "[200, 200, 200, 200, 200]",
    ]


def test_runs_started_through_it_wake_workers_that_go_past_it(start_worker, pgbouncer):
    start_worker("acc_groups", "--poll-interval", "120", TEST_PGFLOW=json.dumps(SETTINGS))
    eventually(lambda: query("select 1 from django_pgflow.waiting_workers"), "the worker to wait")
    code = "from tests.acceptance.pooler_flows import groups; print(groups.start(prefix='E', count=1).join(timeout=30))"
    assert run_python(code, pooled_url(pgbouncer, database_url())) == "completed\n"


def test_behind_a_pooler_by_session_a_worker_listens_and_holds_its_lock(start_worker, start_pgbouncer):
    url = start_pgbouncer(pool_mode="session", default_pool_size=50).url(database_url())
    killed = start_worker("acc_slow", DATABASE_URL=url)
    assert "pooler" not in killed.log
    run_id = start("acc_slow", [3])
    killed.wait_for_log("Task started")
    other = start_worker("acc_slow", "--poll-interval", "120", DATABASE_URL=url)
    killed.send(signal.SIGKILL)
    assert output(run_id) == {"doze": ["slept"]}
    eventually(lambda: query("select 1 from django_pgflow.waiting_workers"), "the worker to wait")
    assert output(start("acc_slow", [0])) == {"doze": ["slept"]}
    assert "Traceback" not in other.log


def test_another_worker_takes_over_from_one_that_was_killed(start_pooled):
    killed, other = (start_pooled("acc_steady", heartbeat_interval=1) for _ in "ab")
    run_id = start("acc_steady", list(range(500)))
    eventually(lambda: Group.objects.count() >= 100, "100 tasks")
    killed.send(signal.SIGKILL)
    held = "select 1 from pgflow.step_tasks where status = 'started' and last_worker_id::text = %s"
    (killed_id,) = re.findall(r"Worker started worker=(\S+)", killed.log)
    assert query(held, killed_id), "it had nothing to be taken over"
    assert output(run_id) == {"total": sum(range(500))}
    other.wait_for_log("Lost workers found count=1")


def test_a_restart_of_the_pooler_under_load_loses_nothing(start_pooled, pgbouncer):
    workers = [start_pooled("acc_steady") for _ in range(2)]
    run_id = start("acc_steady", list(range(1000)))
    for done in (100, 300, 500):
        eventually(lambda done=done: Group.objects.count() >= done, f"{done} tasks")
        pgbouncer.restart()
    assert client.get(run_id).status == "started"
    assert output(run_id) == {"total": sum(range(1000))}
    assert query("select count(*) from pgflow.step_tasks where status <> 'completed'") == [(0,)]
    for worker in workers:
        assert "Database connection lost" in worker.log
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0


def test_it_migrates_as_a_direct_connection_does(pgbouncer):
    with database() as direct, database() as behind:
        pooled = Scratch(pooled_url(pgbouncer, behind.url), behind.conninfo)
        direct.manage("migrate", "-v0")
        pooled.manage("migrate", "-v0")
        assert behind.objects() == direct.objects()
        assert "agree with the database" in pooled.manage("pgflow_sync", "--check").stdout
        pooled.manage("migrate", "pgflow", "zero", "-v0")
        assert behind.schemas() == {"public"}


def test_a_crash_of_postgres_behind_it_loses_nothing(own_server, start_pgbouncer, tmp_path):
    direct = own_server.url("postgres")
    pgbouncer = start_pgbouncer(direct, pool_mode="transaction", default_pool_size=2, server_login_retry=1)
    url = pooled_url(pgbouncer, direct)
    run_python("from django.core.management import call_command; call_command('migrate', verbosity=0)", url)
    config = environ.Env.db_url_config(direct)
    dsn = psycopg.conninfo.make_conninfo(host=config["HOST"], user=config["USER"], dbname=config["NAME"])

    def ask(statement: str, *params: Any) -> Any:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return connection.execute(statement, params).fetchone()[0]

    run_id = ask("select run_id from pgflow.start_flow('acc_steady', %s)", json.dumps(list(range(1000))))
    environment = {"DATABASE_URL": url, "TEST_PGFLOW": json.dumps(SETTINGS)}
    worker = WorkerProcess(["acc_steady"], tmp_path / "worker.log", environment)
    try:
        eventually(lambda: ask("select count(*) from auth_group") >= 100, "100 tasks")
        own_server.restart("immediate")
        status = "select status from pgflow.runs where run_id = %s"
        assert ask(status, run_id) == "started"
        eventually(lambda: ask(status, run_id) != "started", "the end of the run")
        assert ask("select output from pgflow.runs where run_id = %s", run_id) == {"total": sum(range(1000))}
        assert "Stalled" not in worker.log
    finally:
        worker.process.kill()
        worker.process.wait()
