"""Handlers on a Dask cluster, of real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest
from django.contrib.auth import get_user_model

from tests.acceptance.conftest import ended, output, start, task_rows
from tests.fixtures.worker import database_url, query

pytest.importorskip("distributed")

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

FLOWS = "tests.integration.worker.executor_flows"


class Cluster:
    """A cluster in a process group of its own."""

    def __init__(self, port=0):
        # No DJANGO_SETTINGS_MODULE: that is the worker's.
        environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.worker.dask_cluster", str(port)],
            env={**environment, "DATABASE_URL": database_url(), "TEST_PGFLOW": json.dumps({"FLOW_MODULES": [FLOWS]})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("tcp://127.0.0.1:")

    @property
    def port(self):
        """Of the scheduler."""
        return int(self.address.rpartition(":")[2])

    def kill(self):
        """End scheduler and workers at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def make_cluster(transactional_db):
    """Return a function that starts a cluster."""
    made = []

    def make(port=0):
        made.append(Cluster(port))
        return made[-1]

    yield make
    for cluster in made:
        cluster.kill()


@pytest.fixture
def serve(start_worker):
    """Return a function that starts a worker which gives its tasks to a cluster."""

    def serve(cluster):
        pool = {
            "BACKEND": "django_pgflow.worker.executors.dask.ClusterExecutor",
            "OPTIONS": {"address": cluster.address},
        }
        return start_worker("exe_pool", TEST_PGFLOW=json.dumps({"FLOW_MODULES": [FLOWS], "EXECUTORS": {"pool": pool}}))

    return serve


def failure(run_id):
    """Wait for a run's bad end, and return class and text of its error."""
    assert ended(run_id).status == "failed"
    return query("select error_class, error_message from django_pgflow.failed_attempts where run_id = %s", run_id)[0]


def test_a_map_runs_on_the_cluster(make_cluster, serve):
    cluster = make_cluster()
    worker = serve(cluster)
    run_id = start("exe_pool", ["pid"] * 8 + ["context"])
    *pids, context = output(run_id)["pooled"]
    assert len(set(pids)) == 2
    assert not {worker.process.pid, cluster.process.pid, os.getpid()} & set(pids)
    assert context == [str(run_id), "exe_pool", "pooled", 8, 1, True]
    assert get_user_model().objects.filter(username=str(run_id)).exists()
    assert failure(start("exe_pool", ["unpicklable"])) == (f"{FLOWS}.Unpicklable", "Unpicklable: cannot travel (7)")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def test_a_process_of_the_cluster_that_dies_fails_its_task(make_cluster, serve):
    worker = serve(make_cluster())
    error_class, text = failure(start("exe_pool", ["exit"]))
    assert error_class == "distributed.scheduler.KilledWorker"
    assert "KilledWorker: " in text
    assert ended(start("exe_pool", ["pid"])).status == "completed"
    assert worker.process.poll() is None


def test_tasks_survive_their_cluster(make_cluster, serve):
    cluster = make_cluster()
    worker = serve(cluster)
    run_id = start("exe_pool", ["nap"])
    worker.wait_for_log("Task started")
    query("select pg_sleep(1)")
    cluster.kill()
    worker.wait_for_log("Task given back, as its executor", deadline=60)
    make_cluster(cluster.port)
    assert output(run_id) == {"pooled": ["nap"]}
    assert task_rows(run_id) == [("pooled", 0, "completed", 1)]
