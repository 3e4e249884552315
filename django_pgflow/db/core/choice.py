"""Which core fits a database: asked once for each, when it is first used."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from psycopg.rows import dict_row

from django_pgflow.db import capabilities
from django_pgflow.db.capabilities import Capabilities
from django_pgflow.db.core import definitions
from django_pgflow.db.core.current import Core
from django_pgflow.db.core.definitions import Definitions
from django_pgflow.db.core.external import ExternalCore
from django_pgflow.db.core.v0_7 import CoreV07
from django_pgflow.db.core.v0_12 import CoreV012

_found: dict[tuple[Any, ...], Capabilities] = {}


def core_for(found: Capabilities) -> Core:
    """Return the functions that a database has: the newest core is the plain one, an older one a subclass."""
    if found.is_ours or not found.is_installed:
        return Core()
    if not found.has_worker_end:
        return CoreV07(found)
    if not found.has_requeue:
        return CoreV012(found)
    return ExternalCore(found)


def for_alias(alias: str) -> Core:
    """Return the core of a Django database, on whose connection the first call asks the catalog."""
    return core_for(capabilities_of(alias))


async def afor_alias(alias: str) -> Core:
    """Do as ``for_alias`` does, from a coroutine."""
    return core_for(_found.get(_key(alias)) or await sync_to_async(capabilities_of, thread_sensitive=True)(alias))


def definitions_for_alias(alias: str) -> Definitions:
    """Return how flows are written to a Django database."""
    return definitions.definitions_for(capabilities_of(alias))


def capabilities_of(alias: str) -> Capabilities:
    """Return what was found in a Django database.

    The answer is kept until ``forget``, and for the database that the alias names now: a test database is another one.
    Where no core is installed, nothing is kept.
    """
    found = _found.get(_key(alias))
    if found is None:
        found = probe(alias)
        if found.is_installed:
            _found[_key(alias)] = found
    return found


def forget() -> None:
    """Ask again from now on: what the databases hold has changed."""
    _found.clear()


def probe(alias: str) -> Capabilities:
    """Ask the catalog of a Django database what it can do."""
    query = capabilities.probe()
    connection = connections[alias]
    connection.ensure_connection()
    # Beneath Django's cursor, so that a count of an application's queries does not depend on who asked first.
    with connection.connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(query.sql, query.params)
        return query.read(cursor.fetchone())


def _key(alias: str) -> tuple[Any, ...]:
    settings = connections[alias].settings_dict
    return alias, settings["NAME"], settings["HOST"], settings["PORT"]
