"""A database of its own for workers, on a server that may be crashed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import environ
import psycopg
import pytest

from example_project.embedded_postgres import EmbeddedPostgres
from tests.acceptance.gates import settings
from tests.fixtures.worker import WorkerProcess, eventually


class OwnDatabase:
    """A migrated database.

    Args:
        server: Its server.
        folder: For the logs of workers.
    """

    def __init__(self, server: EmbeddedPostgres, folder: Path) -> None:
        self.server = server
        self.url = server.url("postgres")
        self._folder = folder
        self._workers: list[WorkerProcess] = []
        environment = {**os.environ, "DATABASE_URL": self.url, "DJANGO_SETTINGS_MODULE": "tests.acceptance.settings"}
        subprocess.run([sys.executable, "-m", "django", "migrate", "-v0"], env=environment, check=True)

    def query(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Execute a statement on a connection of its own."""
        config = environ.Env.db_url_config(self.url)
        dsn = psycopg.conninfo.make_conninfo(host=config["HOST"], user=config["USER"], dbname=config["NAME"])
        with psycopg.connect(dsn, autocommit=True) as connection:
            cursor = connection.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    def start_worker(self, *arguments: str, **worker: Any) -> WorkerProcess:
        """Start a worker, and wait until it works."""
        log = self._folder / f"worker{len(self._workers)}.log"
        self._workers.append(WorkerProcess(list(arguments), log, {"DATABASE_URL": self.url, **settings(**worker)}))
        self._workers[-1].wait_for_log("Worker started")
        return self._workers[-1]

    def start(self, flow_slug: str, value: Any) -> UUID:
        """Start a run."""
        ((run_id,),) = self.query("select run_id from pgflow.start_flow(%s, %s)", flow_slug, json.dumps(value))
        return UUID(str(run_id))

    def output(self, run_id: UUID) -> Any:
        """Wait for a run's good end, and return its output."""

        def end() -> Any:
            ((status, output),) = self.query("select status, output from pgflow.runs where run_id = %s", run_id)
            return (status, output) if status != "started" else None

        status, output = eventually(end, f"the end of run {run_id}")
        assert status == "completed"
        return output

    def attempts(self, run_id: UUID) -> list[tuple[str, int]]:
        """Return (status, attempts that count) of a run's tasks."""
        return self.query(
            "select status, attempts_count - forgiven_count from pgflow.step_tasks where run_id = %s "
            "order by step_slug, task_index",
            run_id,
        )

    def crash(self) -> None:
        """Stop the server hard."""
        self.server._stop("immediate")

    def come_back(self) -> None:
        """Start the server again."""
        self.server.restart("immediate")

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.wait()


@pytest.fixture
def own_database(own_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[OwnDatabase]:
    """Migrate a database on a server of its own; its workers are ended after the test."""
    made = OwnDatabase(own_server, tmp_path)
    yield made
    made.close()
