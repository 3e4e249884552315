"""A Django database as the place where queries run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeVar

from asgiref.sync import sync_to_async
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_pgflow import conf
from django_pgflow.db import core
from django_pgflow.db.core.current import Core
from django_pgflow.db.query import Query

Row = TypeVar("Row")

JSONB_OID = 3802


@dataclass(frozen=True)
class Database:
    """A Django database alias. Queries join the transaction that is open on its connection, if any."""

    alias: str

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """Django's connection of this thread."""
        return connections[self.alias]

    @property
    def core(self) -> Core:
        """The core that fits the database; the first use asks its catalog."""
        return core.for_alias(self.alias)

    def run(self, query: Query[Row]) -> list[Row]:
        """Execute a query on this thread's connection and return all its rows."""
        with self.connection.cursor() as cursor:
            cursor.execute(query.sql, query.params)
            if cursor.description is None:
                return []
            names = [column[0] for column in cursor.description]
            # Django's connections leave JSON as text.
            json_names = [column[0] for column in cursor.description if column[1] == JSONB_OID]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        for row in rows:
            for name in json_names:
                if row[name] is not None:
                    row[name] = json.loads(row[name])
        return [query.read(row) for row in rows]

    def one(self, query: Query[Row]) -> Row:
        """Execute a query that gives exactly one row."""
        (row,) = self.run(query)
        return row

    async def arun(self, query: Query[Row]) -> list[Row]:
        """Do as ``run`` does, from a coroutine."""
        return await sync_to_async(self.run, thread_sensitive=True)(query)


def default() -> Database:
    """Return the database that ``PGFLOW["DATABASE"]`` names."""
    return Database(conf.get().DATABASE)
