"""Fixtures of the acceptance tests."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from django_pgflow import client
from example_project.embedded_postgres import EmbeddedPostgres
from tests.fixtures.worker import eventually, query


@pytest.fixture(autouse=True)
def ledger(transactional_db: None) -> Iterator[Callable[..., list[Any]]]:
    """Make the table that handlers write to, and return a function that reads it."""
    query(
        "create table ledger (id bigserial primary key, run_id uuid, step_slug text, task_index int, attempt int, "
        "pid int, thread bigint, note text, at timestamptz default clock_timestamp())"
    )

    def read(columns: str = "step_slug, task_index, attempt, note", where: str = "true") -> list[Any]:
        return query(f"select {columns} from ledger where {where} order by id")

    yield read
    query("drop table ledger")


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    """A durable server that may be crashed."""
    with tempfile.TemporaryDirectory(prefix="pgflow-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder) / "data", version=int(os.environ.get("PG") or 18))
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def start(flow_slug: str, value: Any) -> uuid.UUID:
    """Start a run of a flow that only the worker's code has."""
    return client.start(flow_slug, [json.dumps(value)])[0].run_id


def ended(run_id: uuid.UUID) -> Any:
    """Wait for a run's end and return its record."""
    return eventually(lambda: (r := client.get(run_id)).status != "started" and r, f"the end of run {run_id}")


def output(run_id: uuid.UUID) -> Any:
    """Wait for a run's good end and return its output."""
    assert ended(run_id).status == "completed"
    return json.loads(query("select output::text from pgflow.runs where run_id = %s", run_id)[0][0])


def task_rows(run_id: uuid.UUID) -> list[Any]:
    """Return (step, index, status, attempts that count) of a run's tasks."""
    return query(
        "select step_slug, task_index, status, attempts_count - forgiven_count from pgflow.step_tasks "
        "where run_id = %s order by 1, 2",
        run_id,
    )
