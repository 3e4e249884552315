"""Step states and step tasks under one text key, for pages that name a row by one value.

Django's admin registers no model with a composite key. These models stand on views that add the column ``key``; a
condition on it becomes one on the columns of the table's primary key, so that it is an index lookup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.models import lookups
from django.db.models.sql.compiler import SQLCompiler
from django.utils.translation import gettext_lazy as _

from django_pgflow.models import base
from django_pgflow.models.runtime import Run
from django_pgflow.models.states import StepStateColumns, StepTaskColumns
from django_pgflow.models.workers import Worker
from django_pgflow.statuses import StepStatus, TaskStatus


def parse(key: str, parts: int) -> tuple[UUID | str | int, ...] | None:
    """Take a key to pieces: run id, step slug and, with three parts, task index; None if it is none."""
    pieces = str(key).split("/")
    if len(pieces) != parts or "\x00" in key:
        return None
    try:
        values: list[UUID | str | int] = [UUID(pieces[0]), pieces[1]]
        values += [int(piece) for piece in pieces[2:]]
    except ValueError:
        return None
    # An index beyond the column's type would be an error in Postgres, not a row that is absent.
    return tuple(values) if all(not isinstance(value, int) or 0 <= value < 2**31 for value in values) else None


class KeyField(models.TextField):  # type: ignore[type-arg]
    """The column ``key``, whose ``exact`` and ``in`` compare the columns that it is made of.

    Args:
        columns: Columns of a unique index, by the names of their attributes, in the key's order.
    """

    def __init__(self, *args: Any, columns: Iterable[str], **kwargs: Any) -> None:
        self.columns = tuple(columns)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Add ``columns``."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "columns": list(self.columns)}


def _compare(compiler: SQLCompiler, column: Any, keys: Iterable[str]) -> tuple[str, list[Any]]:
    """Write ``(run_id, step_slug) in ((.., ..), ..)``; keys that are none are passed over."""
    field = column.target
    found = [parsed for key in keys if (parsed := parse(key, len(field.columns))) is not None]
    if not found:
        raise EmptyResultSet
    columns = (field.model._meta.get_field(name).get_col(column.alias) for name in field.columns)
    names = ", ".join(compiler.compile(part)[0] for part in columns)
    row = f"({', '.join(['%s'] * len(field.columns))})"
    return f"({names}) in ({', '.join([row] * len(found))})", [value for parsed in found for value in parsed]


@KeyField.register_lookup
class KeyExact(lookups.Exact):
    """``key = 'run/step'`` by its parts."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """Compare the parts."""
        return _compare(compiler, self.lhs, [self.rhs])


@KeyField.register_lookup
class KeyIn(lookups.In):
    """``key in (...)`` by the parts of each."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """Compare the parts."""
        return _compare(compiler, self.lhs, self.rhs)


class StepStateRowQuerySet(base.ReadOnlyQuerySet["StepStateRow"]):
    """Rows of step states by status."""

    def with_status(self, status: str) -> Self:
        """Return the rows of one status, by an index where there is one."""
        rows = self.filter(status=status)
        return rows.filter(run_failed_at__isnull=False) if status == StepStatus.FAILED else rows


class StepStateRow(StepStateColumns):
    """A step state with the key ``run_id/step_slug``; see ``StepState``."""

    key = KeyField(_("key"), primary_key=True, columns=["run_id", "step_slug"])
    run = models.ForeignKey(Run, models.DO_NOTHING, related_name="+", db_constraint=False, verbose_name=_("run"))
    step_index = models.IntegerField(_("index"), null=True)
    run_started_at = models.DateTimeField(_("run started at"))
    run_failed_at = models.DateTimeField(_("run failed at"), null=True)

    objects = StepStateRowQuerySet.as_manager()

    class Meta(StepStateColumns.Meta):
        abstract = False
        db_table = base.table("step_state_rows", "django_pgflow")
        # The permission is that of StepState.
        default_permissions: ClassVar[Sequence[str]] = ()
        # Tells the admin that this order leaves no ties, so that it adds no sort by the text key.
        unique_together = [("run", "step_slug")]
        ordering = ["-run_started_at", "run_id", "step_slug"]
        verbose_name = _("step state")
        verbose_name_plural = _("step states")

    def __str__(self) -> str:
        return f"{self.flow_slug} {str(self.run_id)[:8]} / {self.step_slug}"


class StepTaskRowQuerySet(base.ReadOnlyQuerySet["StepTaskRow"]):
    """Rows of step tasks by status."""

    def with_status(self, status: str) -> Self:
        """Return the rows of one status, by an index where there is one."""
        rows = self.filter(status=status)
        return rows.filter(failed_at__isnull=False) if status == TaskStatus.FAILED else rows

    def slim(self) -> Self:
        """Leave out the columns that may be large."""
        return self.defer("input", "output", "error_message")


class StepTaskRow(StepTaskColumns):
    """A step task with the key ``run_id/step_slug/task_index``; see ``StepTask``."""

    key = KeyField(_("key"), primary_key=True, columns=["run_id", "step_slug", "task_index"])
    run = models.ForeignKey(Run, models.DO_NOTHING, related_name="+", db_constraint=False, verbose_name=_("run"))
    last_worker = models.ForeignKey(
        Worker, models.DO_NOTHING, null=True, related_name="+", db_constraint=False, verbose_name=_("last worker")
    )
    run_started_at = models.DateTimeField(_("run started at"))

    objects = StepTaskRowQuerySet.as_manager()

    class Meta(StepTaskColumns.Meta):
        abstract = False
        db_table = base.table("step_task_rows", "django_pgflow")
        default_permissions: ClassVar[Sequence[str]] = ()
        unique_together = [("run", "step_slug", "task_index")]
        ordering = ["-run_started_at", "run_id", "step_slug", "task_index"]
        verbose_name = _("step task")
        verbose_name_plural = _("step tasks")

    def __str__(self) -> str:
        return f"{self.flow_slug} {str(self.run_id)[:8]} / {self.step_slug} [{self.task_index}]"

    @property
    def identity(self) -> tuple[UUID, str, int]:
        """What ``django_pgflow.client.retry_tasks`` takes."""
        return (self.run_id, self.step_slug, self.task_index)


class FailedTaskManager(models.Manager.from_queryset(StepTaskRowQuerySet)):  # type: ignore[misc]
    """Failed tasks alone."""

    def get_queryset(self) -> Any:
        """Return the failed tasks."""
        return super().get_queryset().with_status(TaskStatus.FAILED)


class FailedTask(StepTaskRow):
    """A task that used up its attempts, and waits for somebody to look at it."""

    objects: ClassVar[Any] = FailedTaskManager()
    rows = StepTaskRowQuerySet.as_manager()

    class Meta(base.PgflowModel.Meta):
        proxy = True
        # One that has been retried meanwhile can still be read again.
        base_manager_name = "rows"
        default_permissions: ClassVar[Sequence[str]] = ()
        ordering = ["-failed_at", "run_id", "step_slug", "task_index"]
        verbose_name = _("failed task")
        verbose_name_plural = _("failed tasks")
