"""A database of its own for each test, with Django's commands run on it as a user runs them."""

from __future__ import annotations

import contextlib
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
    """A new, empty database, and the settings under which commands use it."""

    def __init__(self, url: str, conninfo: dict[str, Any], settings: str = "tests.settings") -> None:
        self.url = url
        self.conninfo = conninfo
        self.settings = settings

    def manage(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a management command on the database."""
        return self._python("-m", "django", *arguments, check=check, **environment)

    def python(self, code: str) -> str:
        """Run a script with Django set up, and return what it printed."""
        return self._python("-c", f"import django\ndjango.setup()\n{code}").stdout

    def _python(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env={
                **os.environ,
                "DATABASE_URL": self.url,
                "DJANGO_SETTINGS_MODULE": self.settings,
                "PYTHONPATH": os.getcwd(),
                **environment,
            },
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def execute(self, statement: str, params: Any = None) -> list[tuple[Any, ...]]:
        """Run SQL and return the rows."""
        with psycopg.connect(**self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else []

    def schemas(self) -> set[str]:
        """Return the schemas that are not PostgreSQL's own."""
        rows = self.execute("select nspname from pg_namespace where nspname !~ '^pg_' and nspname !~ '^information'")
        return {row[0] for row in rows}

    def objects(self, schemas: tuple[str, ...] = ("pgflow", "django_pgflow")) -> list[tuple[Any, ...]]:
        """Return all that stands in schemas: columns, constraints, indexes, triggers, functions, grants."""
        return self.execute(
            """
            select 'column', c.oid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod)
            from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
            where c.relnamespace::regnamespace::text = any(%(schemas)s)
            union all
            select 'schema', n.nspname, obj_description(n.oid, 'pg_namespace'), n.nspacl::text
            from pg_namespace n where n.nspname = any(%(schemas)s)
            union all
            select 'relation', c.oid::regclass::text, c.relkind::text, c.relacl::text
            from pg_class c where c.relnamespace::regnamespace::text = any(%(schemas)s)
            union all
            select 'trigger', t.tgrelid::regclass::text, t.tgname, pg_get_triggerdef(t.oid)
            from pg_trigger t join pg_class c on c.oid = t.tgrelid
            where c.relnamespace::regnamespace::text = any(%(schemas)s) and not t.tgisinternal
            union all
            select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
            from pg_constraint where connamespace::regnamespace::text = any(%(schemas)s)
            union all
            select 'index', schemaname, indexname, indexdef
            from pg_indexes where schemaname = any(%(schemas)s)
            union all
            select 'function', oid::regprocedure::text, proacl::text, pg_get_functiondef(oid)
            from pg_proc where pronamespace::regnamespace::text = any(%(schemas)s) and prokind = 'f'
            order by 1, 2, 3, 4
            """,
            {"schemas": list(schemas)},
        )

    def contents(self, schemas: tuple[str, ...]) -> dict[str, list[str]]:
        """Return every row of every table in schemas, as text."""
        tables = self.execute(
            "select c.oid::regclass::text from pg_class c "
            "where c.relkind = 'r' and c.relnamespace::regnamespace::text = any(%(schemas)s)",
            {"schemas": list(schemas)},
        )
        return {
            name: [row[0] for row in self.execute(f"select t::text from {name} t order by 1")] for (name,) in tables
        }


@contextlib.contextmanager
def database(template: str = "template1") -> Iterator[Scratch]:
    """Make a database, and drop it at the end."""
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
        admin.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield Scratch(url, {**conninfo, "dbname": name})
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def scratch() -> Iterator[Scratch]:
    """Make a database, and drop it."""
    with database() as made:
        yield made
