"""What all models share: they observe the tables that the SQL core writes, and write nothing.

**Table names.** The tables live in the schemas ``pgflow`` and ``django_pgflow``, and Django knows no schemas. It takes
a ``db_table`` that begins and ends with a double quote for quoted already (a documented rule) and uses it as it
stands, so ``"pgflow"."runs"`` reaches Postgres as a schema and a table: in FROM, in joins, and before columns
(``"pgflow"."runs"."run_id"``), since Django gives no alias to the first use of a table and a plain one (``T3``) to
further uses. The one clause that would refuse it, ``FOR UPDATE OF``, is for writers.

**Relations.** Foreign keys by slug are ``ForeignObject``: the slugs stay plain columns under the names that they
bear in SQL (``run.flow_slug``), and the same kind of relation spans several columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar, NoReturn, TypeVar

from django.db import models
from django.utils import timezone

from django_pgflow import exceptions

WRITES = (
    "create",
    "bulk_create",
    "bulk_update",
    "get_or_create",
    "update_or_create",
    "update",
    "delete",
)

Model = TypeVar("Model", bound=models.Model, covariant=True)


def table(name: str, schema: str = "pgflow") -> str:
    """Return the ``db_table`` of a table or view in a schema."""
    return f'"{schema}"."{name}"'


class ReadOnlyQuerySet(models.QuerySet[Model]):
    """A queryset without verbs that write; their async twins end here too."""

    def _refuse(self, verb: str) -> NoReturn:
        raise exceptions.ReadOnly(self.model.__name__, verb)

    def create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        self._refuse("create")

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        self._refuse("bulk_create")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        self._refuse("bulk_update")

    def get_or_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        self._refuse("get_or_create")

    def update_or_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        self._refuse("update_or_create")

    def update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        self._refuse("update")

    def delete(self) -> NoReturn:
        """Refuse."""
        self._refuse("delete")


class PgflowModel(models.Model):
    """A row that the core wrote. Each model has a manager ``objects`` of a ``ReadOnlyQuerySet``."""

    class Meta:
        abstract = True
        managed = False
        default_permissions: ClassVar[Sequence[str]] = ("view",)
        # Related managers write through the base manager; it must refuse as well.
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise exceptions.ReadOnly(type(self).__name__, "save")

    def save_base(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise exceptions.ReadOnly(type(self).__name__, "save_base")

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise exceptions.ReadOnly(type(self).__name__, "delete")

    @property
    def database(self) -> str | None:
        """The alias that the row was read from."""
        return self._state.db


def duration(started_at: Any, ended_at: Any) -> timedelta | None:
    """Return the time between two moments; until now without an end, None without a start."""
    return (ended_at or timezone.now()) - started_at if started_at else None
