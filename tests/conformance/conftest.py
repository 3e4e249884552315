"""Databases with cores that others installed, made of this folder's SQL."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pgmq.install import get_embedded_install_sql
from psycopg.rows import dict_row

from django_pgflow.db import capabilities, core
from django_pgflow.db.core.external import ExternalCore
from django_pgflow.db.query import Query
from tests.migrations.conftest import Scratch, database, scratch

__all__ = ["scratch"]

HERE = Path(__file__).parent
SCRIPTS = {"0.7.2": ["core_0_14.sql", "core_0_7.sql"], "0.14.1": ["core_0_14.sql"]}
NO_SYNC = json.dumps({"SYNC": False})


class Foreign(Scratch):
    """A database with a core that others installed.

    Attributes:
        version: Which.
    """

    version: str

    def ask(self, query: Query[Any]) -> list[Any]:
        """Execute a query in a transaction of its own."""
        with self.session() as session:
            return run(session, query)

    def session(self) -> psycopg.Connection[dict[str, Any]]:
        """Open a session that commits each statement."""
        return psycopg.connect(**self.conninfo, autocommit=True, row_factory=dict_row)

    @property
    def found(self) -> capabilities.Capabilities:
        """What the probe finds."""
        (found,) = self.ask(capabilities.probe())
        return found

    @property
    def core(self) -> ExternalCore:
        """The functions that fit."""
        fitting = core.core_for(self.found)
        assert isinstance(fitting, ExternalCore)
        return fitting

    def define(self, flow_slug: str, *step_slugs: str, max_attempts: int = 3, base_delay: int = 0) -> None:
        """Create a flow whose steps depend on nothing."""
        self.execute(
            "select pgflow.create_flow(%s, %s, %s, 30)",
            [flow_slug, max_attempts, base_delay],
        )
        for slug in step_slugs:
            self.execute("select pgflow.add_step(%s, %s)", [flow_slug, slug])

    def start(self, flow_slug: str, value: Any = None) -> uuid.UUID:
        """Start a run."""
        ((run_id,),) = self.execute("select run_id from pgflow.start_flow(%s, %s)", [flow_slug, json.dumps(value)])
        return run_id

    def register(self) -> uuid.UUID:
        """Register a worker."""
        worker_id = uuid.uuid4()
        self.ask(self.core.register_worker(worker_id, ["flow"], "host:1"))
        return worker_id

    def start_worker(self, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a worker process that writes its log to a file."""
        with log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "django", "runpgflowworker", *arguments],
                env={**os.environ, "DATABASE_URL": self.url, "DJANGO_SETTINGS_MODULE": self.settings},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def work(self, *flow_slugs: str) -> str:
        """Let a worker process do all there is to do; return what it logged."""
        answer = self.manage("runpgflowworker", *flow_slugs, "--until-idle", check=False)
        assert answer.returncode == 0, answer.stderr
        return answer.stderr

    def run(self, run_id: uuid.UUID) -> dict[str, Any]:
        """Return a run."""
        with self.session() as session:
            row = session.execute("select * from pgflow.runs where run_id = %s", [run_id]).fetchone()
        assert row is not None
        return row

    def tasks(self, run_id: uuid.UUID) -> list[dict[str, Any]]:
        """Return the tasks of a run."""
        with self.session() as session:
            return session.execute(
                "select * from pgflow.step_tasks where run_id = %s order by step_slug, task_index", [run_id]
            ).fetchall()


def run(session: psycopg.Connection[dict[str, Any]], query: Query[Any]) -> list[Any]:
    """Execute a query in a session."""
    cursor = session.execute(query.sql, query.params)
    return [query.read(row) for row in cursor.fetchall()] if cursor.description else []


def prepare(made: Scratch, version: str) -> Foreign:
    """Return a database as one with a core."""
    foreign = Foreign(made.url, made.conninfo, "tests.conformance.settings")
    foreign.version = version
    return foreign


@pytest.fixture(scope="session")
def templates() -> Iterator[dict[tuple[str, bool], str]]:
    """Make, for each version, a database with pgmq and a core, and one that is migrated besides; return the names."""
    names: dict[tuple[str, bool], str] = {}
    with contextlib.ExitStack() as stack:
        for version, scripts in SCRIPTS.items():
            plain = prepare(stack.enter_context(database()), version)
            plain.execute(get_embedded_install_sql())
            for name in scripts:
                plain.execute((HERE / name).read_text())
            names[version, False] = plain.conninfo["dbname"]
            migrated = prepare(stack.enter_context(database(names[version, False])), version)
            migrated.manage("migrate", "-v0")
            names[version, True] = migrated.conninfo["dbname"]
        yield names


@pytest.fixture(params=list(SCRIPTS))
def foreign(request: pytest.FixtureRequest, templates: dict[tuple[str, bool], str]) -> Iterator[Foreign]:
    """Make a database with pgmq and a core of each version."""
    with database(templates[request.param, False]) as made:
        yield prepare(made, request.param)


@pytest.fixture(params=list(SCRIPTS))
def adopted(request: pytest.FixtureRequest, templates: dict[tuple[str, bool], str]) -> Iterator[Foreign]:
    """Make a database with a core of each version, and our schema beside it."""
    with database(templates[request.param, True]) as made:
        yield prepare(made, request.param)


@pytest.fixture
def own_columns(db: None) -> list[tuple[str, ...]]:
    """Return table, name and type of each column in the schema ``django_pgflow`` beside our own core."""
    from tests.conformance.test_adoption import COLUMNS
    from tests.fixtures.worker import query

    return query(COLUMNS)
