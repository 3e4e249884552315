"""A database of its own for each test, with Django's commands run on it as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import environ
import psycopg
import pytest
from psycopg import sql


class Scratch:
    """A new, empty database."""

    def __init__(self, url: str, conninfo: dict[str, Any]) -> None:
        self.url = url
        self.conninfo = conninfo

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a management command on the database."""
        return subprocess.run(
            [sys.executable, "-m", "django", *arguments, "--settings", "tests.settings"],
            env={**os.environ, "DATABASE_URL": self.url},
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def execute(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """Run SQL and return the rows."""
        with psycopg.connect(**self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement, params or None)
            return cursor.fetchall() if cursor.description else []

    def schemas(self) -> set[str]:
        """Return the schemas that are not PostgreSQL's own."""
        rows = self.execute("select nspname from pg_namespace where nspname !~ '^pg_' and nspname !~ '^information'")
        return {row[0] for row in rows}

    def objects(self) -> list[tuple[Any, ...]]:
        """Return all that stands in our schemas: relations with columns, constraints, indexes, types, functions."""
        return self.execute(
            """
            select 'column', c.oid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod)
            from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
            where c.relnamespace::regnamespace::text in ('pgflow', 'django_pgflow')
            union all
            select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
            from pg_constraint where connamespace::regnamespace::text in ('pgflow', 'django_pgflow')
            union all
            select 'index', schemaname, indexname, indexdef
            from pg_indexes where schemaname in ('pgflow', 'django_pgflow')
            union all
            select 'function', oid::regprocedure::text, proacl::text, pg_get_functiondef(oid)
            from pg_proc where pronamespace::regnamespace::text in ('pgflow', 'django_pgflow')
            order by 1, 2, 3, 4
            """
        )


@pytest.fixture
def scratch() -> Iterator[Scratch]:
    """Make a database, and drop it."""
    config = environ.Env.db_url_config(os.environ["DATABASE_URL"])
    name = f"pgflow_scratch_{uuid.uuid4().hex[:8]}"
    conninfo = {
        "host": config["HOST"] or None,
        "port": config["PORT"] or None,
        "user": config["USER"] or None,
        "password": config["PASSWORD"] or None,
    }
    url, _, query = os.environ["DATABASE_URL"].partition("?")
    url = url.rpartition("/")[0] + "/" + name + ("?" + query if query else "")
    with psycopg.connect(**conninfo, dbname="postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield Scratch(url, {**conninfo, "dbname": name})
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
