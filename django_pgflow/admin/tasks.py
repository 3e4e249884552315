"""Step states and step tasks, all of them and the failed ones."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from django_pgflow import models
from django_pgflow.admin import actions, base, display, filters
from django_pgflow.admin.base import column


class RowAdmin(base.RunSearch):
    """What the lists of step states and of step tasks share."""

    @column(_("flow"))
    def flow(self, row: Any) -> Any:
        """Link to the flow."""
        return display.link(reverse("admin:pgflow_flow_change", args=[row.flow_slug]), row.flow_slug)

    @column(_("run"))
    def run_link(self, row: Any) -> Any:
        """Link to the run's page."""
        return display.link(display.run_url(row.run_id), display.short(row.run_id), title=str(row.run_id))

    @column(_("run"))
    def whole_run(self, row: Any) -> Any:
        """Link to the run's page, by its whole id."""
        return display.link(display.run_url(row.run_id), row.run_id)

    @column(_("status"))
    def badge(self, row: Any) -> Any:
        """Show the status."""
        return display.status(row.status, row.get_status_display())

    @column(_("started"))
    def started(self, row: Any) -> Any:
        """Show when it started."""
        return display.moment(row.started_at)

    @column(_("failed"))
    def failed(self, row: Any) -> Any:
        """Show when it failed."""
        return display.moment(row.failed_at)

    @column(_("duration"))
    def time(self, row: Any) -> str:
        """Show how long it took."""
        return display.duration(row.duration)

    @column(_("error"))
    def error(self, row: Any) -> Any:
        """Show the beginning of the error; a task that completed after all keeps its own for its page."""
        return display.EMPTY if row.status == "completed" else display.excerpt(row.error_message)

    @column(_("last error"))
    def whole_error(self, row: Any) -> Any:
        """Show the error."""
        return display.block(row.error_message or "", error=True)

    @column(_("output"))
    def whole_output(self, row: Any) -> Any:
        """Show the output."""
        return display.json_of(row, "output")

    @column(_("input"))
    def whole_input(self, row: Any) -> Any:
        """Show the element of a map task."""
        return display.json_of(row, "input")


@admin.register(models.StepStateRow)
class StepStateRowAdmin(RowAdmin):
    """Steps of all runs, those of the newest runs first."""

    permission_model = models.StepState
    large_columns = ("output",)
    list_display = ("step_slug", "badge", "flow", "run_link", "tasks", "started", "time", "error")
    list_filter = (filters.FlowFilter, filters.StepStatusFilter, filters.RunFilter)
    fields = (
        "whole_run",
        "flow",
        "step_slug",
        "badge",
        "skip_reason",
        "tasks",
        "remaining_deps",
        "created_at",
        "started_at",
        "completed_at",
        "failed_at",
        "skipped_at",
        "time",
        "whole_error",
        "whole_output",
        "task_list",
    )
    readonly_fields = fields

    @column(_("tasks"))
    def tasks(self, row: models.StepStateRow) -> str:
        """Show how many tasks are done, of how many."""
        return display.EMPTY if row.initial_tasks is None else f"{row.completed_tasks}/{row.initial_tasks}"

    @column(_("all its tasks"))
    def task_list(self, row: models.StepStateRow) -> Any:
        """Link to the tasks of the run."""
        url = reverse("admin:pgflow_steptaskrow_changelist")
        return display.link(f"{url}?run={row.run_id}&step={row.step_slug}", _("Show tasks"))


class StepFilter(filters.RunFilter):
    """By step; set by links, as the filter by run is."""

    title = _("step")
    parameter_name = "step"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the step that is chosen, if any."""
        return [(value, value) for value in [self.value()] if value]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the tasks of the step."""
        return queryset.filter(step_slug=self.value()) if self.value() else queryset


@admin.register(models.StepTaskRow)
class StepTaskRowAdmin(RowAdmin):
    """Tasks of all runs, those of the newest runs first."""

    permission_model = models.StepTask
    large_columns = ("input", "output")
    list_display = ("task", "badge", "flow", "run_link", "attempts_count", "started", "time", "error")
    list_filter = (filters.FlowFilter, filters.TaskStatusFilter, filters.RunFilter, StepFilter)
    fields = (
        "whole_run",
        "flow",
        "step_slug",
        "task_index",
        "badge",
        "attempts_count",
        "forgiven_count",
        "queued_at",
        "started_at",
        "completed_at",
        "failed_at",
        "time",
        "worker",
        "requeued_count",
        "last_requeued_at",
        "permanently_stalled_at",
        "whole_error",
        "whole_input",
        "whole_output",
    )
    readonly_fields = fields

    @column(_("task"))
    def task(self, row: models.StepTaskRow) -> str:
        """Name the step and the index."""
        return f"{row.step_slug} [{row.task_index}]"

    @column(_("last worker"))
    def worker(self, row: models.StepTaskRow) -> Any:
        """Link to the worker that had it last."""
        if row.last_worker_id is None:
            return display.EMPTY
        return display.link(reverse("admin:pgflow_worker_change", args=[row.last_worker_id]), row.last_worker)


@admin.register(models.FailedTask)
class FailedTaskAdmin(RowAdmin):
    """Failed tasks across all flows, the newest first; they can be retried from here."""

    permission_model = models.StepTask
    large_columns = ("input", "output")
    actions = (actions.retry_selected,)
    list_display = ("step_slug", "task_index", "flow", "run_link", "attempts_count", "failed", "error")
    list_filter = (filters.FlowFilter, ("failed_at", filters.DateFilter), filters.RunFilter)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may retry."""
        return actions.may_retry(request)

    def url_of(self, row: Any) -> str:
        """Lead to the task's own page, which stays when it is failed no more."""
        return reverse("admin:pgflow_steptaskrow_change", args=[admin.utils.quote(row.key)])

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Send to the task's own page."""
        return HttpResponseRedirect(reverse("admin:pgflow_steptaskrow_change", args=[object_id]))
