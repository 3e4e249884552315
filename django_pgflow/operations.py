"""Migration operations: install the queue, and run a release of the SQL core.

The SQL stands in ``sql/<schema>/``: ``objects/`` holds today's objects, one a file, ``releases/<name>/`` what a
migration runs, ``up.sql`` and ``down.sql``. A release includes object files with psql's ``\\ir`` as long as it is not
published; then the text is frozen in.

A schema ``pgflow`` that others installed is adopted: left as it is, and the release's ``beside.sql`` is run instead of
``up.sql`` for the schema ``django_pgflow``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.utils import Error

from django_pgflow import conf, exceptions
from django_pgflow.db import core
from django_pgflow.db.capabilities import INSTALLED_MARK, Capabilities
from django_pgflow.db.core import choice

SQL_FOLDER = Path(__file__).parent / "sql"
INCLUDE = re.compile(r"^\\ir\s+(\S+)\s*$", re.MULTILINE)


def read_script(path: Path) -> str:
    """Return a SQL script with the files that it includes in place."""
    return INCLUDE.sub(lambda match: read_script(path.parent / match[1]), path.read_text(encoding="utf-8"))


def schema_comment(connection: BaseDatabaseWrapper, schema: str) -> str | None:
    """Return the comment on a schema, ``""`` if it has none, and None if there is no such schema."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select coalesce(obj_description(oid, 'pg_namespace'), '') from pg_namespace where nspname = %s", [schema]
        )
        row = cursor.fetchone()
    return row[0] if row else None


def is_adopted(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the schema ``pgflow`` is there and somebody else's."""
    return schema_comment(connection, "pgflow") not in (None, INSTALLED_MARK)


def adopt(alias: str, found: Capabilities) -> None:
    """Say on standard output that a core which others installed is used as it is.

    Raises:
        ForeignCore: It is none, or too old.
    """
    if not found.is_installed:
        raise exceptions.ForeignCore(alias, "pgflow", "it has no table of a pgflow core")
    if not found.has_maps:
        raise exceptions.ForeignCore(
            alias, "pgflow", f"it is {found.version_name}, and django-pgflow works with 0.7 and later"
        )
    # The command's line "Applying ..." is still open.
    sys.stdout.write(
        f"\n    The database {alias!r} has a core that django-pgflow did not install: {found.version_name}."
        "\n    It is used as it is; only the schema 'django_pgflow' is created beside it."
        "\n    `manage.py pgflow_doctor` says what it lacks.\n   "
    )


class _DatabaseOperation(Operation):
    """Base of the operations that change only the database that holds pgflow."""

    reduces_to_sql = True
    reversible = True

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Leave the models' state alone."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Install."""
        try:
            if self._concerns(app_label, schema_editor):
                core.forget()
                self.install(schema_editor)
        except exceptions.CoreError as error:
            # So that `manage.py migrate` prints the explanation alone.
            raise CommandError(str(error)) from error

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Remove what ``install`` made."""
        if self._concerns(app_label, schema_editor):
            core.forget()
            self.remove(schema_editor)

    def install(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Install into the database of the schema editor."""
        raise NotImplementedError

    def remove(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Remove from the database of the schema editor what ``install`` made there."""
        raise NotImplementedError

    def _concerns(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor) -> bool:
        connection = schema_editor.connection
        if connection.alias != conf.get().DATABASE or not router.allow_migrate(connection.alias, app_label):
            return False
        if connection.vendor != "postgresql":
            raise exceptions.CoreError(
                f"pgflow needs PostgreSQL, but the database {connection.alias!r} is {connection.vendor}. "
                "Name the alias of a PostgreSQL database in PGFLOW['DATABASE']."
            )
        return True


class InstallQueue(_DatabaseOperation):
    """Install pgmq: the extension where it can be created, else the SQL that the package ``pgmq`` ships.

    A schema ``pgmq`` that is there already is used as it is, if it is of version 1.5 or later. A core that others
    installed brings its own.
    """

    def install(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Make the schema ``pgmq`` if there is none."""
        connection = schema_editor.connection
        if schema_editor.collect_sql:
            schema_editor.execute(self._package_sql(), None)
            return
        if is_adopted(connection):
            return
        if schema_comment(connection, "pgmq") is not None:
            self._check_version(connection)
            return
        if not self._create_extension(connection):
            schema_editor.execute(self._package_sql(), None)
        schema_editor.execute(f"comment on schema pgmq is '{INSTALLED_MARK}'", None)

    def remove(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Drop pgmq if ``install`` made it and no queue is left."""
        connection = schema_editor.connection
        if schema_editor.collect_sql or schema_comment(connection, "pgmq") != INSTALLED_MARK:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "select exists (select from pgmq.meta), exists (select from pg_extension where extname = 'pgmq')"
            )
            in_use, is_extension = cursor.fetchone()
        if not in_use:
            schema_editor.execute("drop extension pgmq" if is_extension else "drop schema pgmq cascade", None)
            schema_editor.execute("drop schema if exists pgmq", None)

    def describe(self) -> str:
        """Say what the operation does."""
        return "Install the message queue pgmq"

    @staticmethod
    def _package_sql() -> str:
        from pgmq.install import get_embedded_install_sql

        return get_embedded_install_sql()

    @staticmethod
    def _create_extension(connection: BaseDatabaseWrapper) -> bool:
        """Create the extension if the server has it, in version 1.5 or later, and the role may."""
        with connection.cursor() as cursor:
            cursor.execute(
                "select exists (select from pg_available_extensions where name = 'pgmq'"
                " and string_to_array(split_part(default_version, '-', 1), '.')::integer[] >= array[1, 5])"
            )
            if not cursor.fetchone()[0]:
                return False
            cursor.execute("savepoint pgflow_extension")
            try:
                cursor.execute("create extension pgmq")
            except Error:
                # Not allowed, or broken; the SQL of the package does the same.
                cursor.execute("rollback to savepoint pgflow_extension")
                return False
            cursor.execute("release savepoint pgflow_extension")
        return True

    @staticmethod
    def _check_version(connection: BaseDatabaseWrapper) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "select exists (select from pg_attribute where attrelid = to_regclass('pgmq.message_record')"
                " and attname = 'headers')"
            )
            if not cursor.fetchone()[0]:
                raise exceptions.CoreError(
                    f"The schema 'pgmq' in the database {connection.alias!r} is older than pgmq 1.5.0. "
                    "Update it (`alter extension pgmq update`) and run `manage.py migrate` again."
                )


class RunRelease(_DatabaseOperation):
    """Run a release of one schema's SQL.

    Args:
        schema: ``"pgflow"`` or ``"django_pgflow"``.
        name: The release's folder, as in ``"0001_initial"``.
    """

    def __init__(self, schema: str, name: str) -> None:
        self.schema = schema
        self.name = name
        self.folder = SQL_FOLDER / schema / "releases" / name

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return what makes this operation anew."""
        return self.__class__.__name__, [self.schema, self.name], {}

    def install(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Run ``up.sql``; beside a core that others installed ``beside.sql``, where the release has one."""
        connection, script = schema_editor.connection, "up.sql"
        if not schema_editor.collect_sql:
            adopted = is_adopted(connection)
            if adopted:
                script = "beside.sql"
            if self.name.startswith("0001_"):
                if adopted and self.schema == "pgflow":
                    adopt(connection.alias, choice.probe(connection.alias))
                else:
                    self._check_absence(connection)
        if (self.folder / script).exists():
            schema_editor.execute(read_script(self.folder / script), None)

    def _check_absence(self, connection: BaseDatabaseWrapper) -> None:
        comment = schema_comment(connection, self.schema)
        if comment == INSTALLED_MARK:
            raise exceptions.CoreError(
                f"The database {connection.alias!r} has the schema {self.schema!r} of django-pgflow already, but no "
                "record of its migration. Nothing was changed. If it is of this version, write the record: "
                "`manage.py migrate --fake pgflow`."
            )
        if comment is not None:
            raise exceptions.ForeignCore(connection.alias, self.schema, f"it bears the comment {comment!r}")

    def remove(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Run ``down.sql``, if the schema is ours."""
        if schema_editor.collect_sql or schema_comment(schema_editor.connection, self.schema) == INSTALLED_MARK:
            schema_editor.execute(read_script(self.folder / "down.sql"), None)

    def describe(self) -> str:
        """Say what the operation does."""
        return f"Run release {self.name} of the schema {self.schema}"
