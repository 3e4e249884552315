"""Filters whose choices cost no look at the large tables, and whose conditions have an index where there is one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_pgflow import conf, models
from django_pgflow.admin import display
from django_pgflow.statuses import RunStatus, StepStatus, TaskStatus

MAX_FLOWS = 200
"""Flows that the filter offers at most."""


class FlowFilter(admin.SimpleListFilter):
    """By flow; the choices come from the table of flows."""

    title = _("flow")
    parameter_name = "flow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the flows that the database knows."""
        flows = models.Flow.objects.using(conf.get().DATABASE).values_list("flow_slug", flat=True)
        return [(slug, slug) for slug in flows.order_by("flow_slug")[:MAX_FLOWS]]

    def has_output(self) -> bool:
        """Show it even with a single flow."""
        return bool(self.lookup_choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows of the chosen flow."""
        return queryset.filter(flow_slug=self.value()) if self.value() else queryset


class StatusFilter(admin.SimpleListFilter):
    """By status; see the subclasses for the choices."""

    title = _("status")
    parameter_name = "status"
    statuses: type[RunStatus | StepStatus | TaskStatus]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer the statuses that there are."""
        return list(self.statuses.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows of the chosen status, by an index where there is one."""
        if self.value() not in self.statuses.values:
            return queryset
        return queryset.with_status(self.value())  # type: ignore[attr-defined, no-any-return]


class RunStatusFilter(StatusFilter):
    """By status of a run."""

    statuses = RunStatus


class StepStatusFilter(StatusFilter):
    """By status of a step state."""

    statuses = StepStatus


class TaskStatusFilter(StatusFilter):
    """By status of a task."""

    statuses = TaskStatus


class RunFilter(admin.SimpleListFilter):
    """By run. Offers nothing by itself: it is set by links from a run's page, and can be taken off."""

    title = _("run")
    parameter_name = "run"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the run that is chosen, if any."""
        return [(value, display.short(value)) for value in [self.value()] if value]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows of the run."""
        value = self.value()
        if not value:
            return queryset
        try:
            return queryset.filter(run_id=UUID(value))
        except ValueError:
            return queryset.none()


class DateFilter(admin.DateFieldListFilter):
    """By date, without the choices for rows that have none: the lists that use it have no such rows."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.links = tuple(link for link in self.links if f"{self.field_generic}isnull" not in link[1])


class WorkerStateFilter(admin.SimpleListFilter):
    """By signs of life."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer the states of a worker."""
        return [("alive", _("alive")), ("dead", _("dead")), ("stopped", _("stopped"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the workers in the chosen state."""
        if self.value() in ("alive", "dead", "stopped"):
            return getattr(queryset, str(self.value()))()  # type: ignore[no-any-return]
        return queryset


def id_range(prefix: str) -> tuple[UUID, UUID] | None:
    """Return the first and the last run id that begin with a prefix; None if no id does.

    A range is an index lookup; a LIKE on the id's text would read every run.
    """
    digits = prefix.strip().replace("-", "").lower()
    if not digits or len(digits) > 32 or any(digit not in "0123456789abcdef" for digit in digits):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
