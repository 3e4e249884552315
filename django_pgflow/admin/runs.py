"""Runs: the list, and the page of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Left
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_pgflow import conf, models
from django_pgflow.admin import actions, base, diagram, display, filters
from django_pgflow.admin.base import column
from django_pgflow.statuses import RunStatus, StepStatus

LISTED_TASKS = 200
"""Tasks that a run's page shows; the list of tasks has all."""
LISTED_FAILED = 50
"""Failed tasks that a run's page shows above."""
ERROR_LENGTH = 4_000
"""Characters of an error that a run's page shows."""
DONE = Q(status__in=[StepStatus.COMPLETED, StepStatus.SKIPPED])


@admin.register(models.Run)
class RunAdmin(base.RunSearch):
    """Runs, the newest first."""

    large_columns = ("input", "output")
    list_display = ("short_id", "flow", "badge", "progress", "started", "time", "error")
    list_filter = (filters.FlowFilter, filters.RunStatusFilter, ("started_at", filters.DateFilter))

    # -- the list

    def complete(self, rows: list[Any]) -> list[Any]:
        """Add to the runs of the page their counts of steps, and the errors of those that failed."""
        states = models.StepState.objects.using(conf.get().DATABASE)
        counted = states.filter(run_id__in=[run.run_id for run in rows]).order_by().values("run_id")
        counts = {
            row["run_id"]: row for row in counted.annotate(steps=Count("step_slug"), done=Count("pk", filter=DONE))
        }
        failed = [run.run_id for run in rows if run.status == RunStatus.FAILED]
        errors: dict[UUID, str] = {}
        if failed:
            found = states.failed().filter(run_id__in=failed).order_by("-failed_at", "-step_slug")
            errors = dict(found.values_list("run_id", Left("error_message", 1000)))
        for run in rows:
            count: Any = counts.get(run.run_id, {})
            run.step_count, run.done_count = count.get("steps", 0), count.get("done", 0)
            run.error_excerpt = errors.get(run.run_id)
        return rows

    @column(gettext_lazy("run"))
    def short_id(self, run: models.Run) -> Any:
        """Show the beginning of the id."""
        return format_html('<code title="{}">{}</code>', run.run_id, display.short(run.run_id))

    @column(gettext_lazy("flow"))
    def flow(self, run: models.Run) -> Any:
        """Link to the flow."""
        return display.link(reverse("admin:pgflow_flow_change", args=[quote(run.flow_slug)]), run.flow_slug)

    @column(gettext_lazy("status"))
    def badge(self, run: models.Run) -> Any:
        """Show the status."""
        return display.status(run.status, run.get_status_display())

    @column(gettext_lazy("steps done"))
    def progress(self, run: Any) -> Any:
        """Show how many steps are done, of how many."""
        return format_html(
            '<span class="pgflow-progress"><progress max="{}" value="{}"></progress> {}/{}</span>',
            max(run.step_count, 1),
            run.done_count if run.step_count else 1,
            run.done_count,
            run.step_count,
        )

    @column(gettext_lazy("started"))
    def started(self, run: models.Run) -> Any:
        """Show when it started."""
        return display.moment(run.started_at)

    @column(gettext_lazy("duration"))
    def time(self, run: models.Run) -> str:
        """Show how long it took, or has been going on."""
        return display.duration(run.duration)

    @column(gettext_lazy("error"))
    def error(self, run: Any) -> Any:
        """Show the beginning of the error that failed it."""
        return display.excerpt(run.error_excerpt, 80)

    # -- the page of one

    def get_urls(self) -> list[URLPattern]:
        """Add the page that retries."""
        view = self.admin_site.admin_view(self.retry_view)
        return [path("<path:object_id>/retry/", view, name="pgflow_run_retry"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Never read inputs and outputs as a whole; pages show their beginning."""
        return super().get_queryset(request).defer(*self.large_columns)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the run with its steps and tasks."""
        run = self.get_object(request, unquote(object_id))
        context = {} if run is None or not self.has_view_permission(request, run) else self.context(request, run)
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def context(self, request: HttpRequest, run: models.Run) -> dict[str, Any]:
        """Return what the template of the run's page shows, as far as the user may see it."""
        run_input, run_output = (
            models.Run.objects.using(run.database)
            .filter(pk=run.pk)
            .order_by()
            .values_list(display.json_text("input"), display.json_text("output"))
            .get()
        )
        context: dict[str, Any] = {
            "title": _("Run of %(flow)s") % {"flow": run.flow_slug},
            "subtitle": run.run_id,
            "run": run,
            "flow": self.flow(run),
            "status": self.badge(run),
            "duration": display.duration(run.duration),
            "started": display.moment(run.started_at),
            "ended": display.moment(run.ended_at),
            "input": display.json_block(run_input),
            "output": display.json_block(run_output),
            "can_retry": run.status == RunStatus.FAILED and actions.may_retry(request),
            "retry_url": reverse("admin:pgflow_run_retry", args=[run.run_id]),
        }
        states = []
        if base.may_view(request, models.StepState):
            states = steps(run)
            context |= {"steps": [step_cells(state) for state in states], "diagram": diagram.of_run(run, states)}
        if base.may_view(request, models.StepTask):
            context |= task_context(run, states)
        return context

    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask (GET), then retry the failed tasks of a run (POST)."""
        run = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, run) or not actions.may_retry(request):
            raise PermissionDenied
        if run is None:
            raise Http404
        rows = models.StepTaskRow.objects.using(run.database).filter(run_id=run.run_id).with_status("failed").slim()
        failed = list(rows.order_by("step_slug", "task_index")[: actions.MAX_TASKS + 1])
        if request.method != "POST":
            return actions.confirm(
                self,
                request,
                failed[: actions.MAX_TASKS],
                title=_("Retry failed tasks"),
                is_cut=len(failed) > actions.MAX_TASKS,
                fields=[],
                original=run,
                back_url=display.run_url(run.run_id),
            )
        if failed:
            actions.retry(request, failed[: actions.MAX_TASKS])
        else:
            self.message_user(request, _("This run has no failed task, so nothing was retried."), level="WARNING")
        return HttpResponseRedirect(display.run_url(run.run_id))


def steps(run: models.Run) -> list[Any]:
    """Return the step states of a run in the order of definition, the large columns cut short."""
    states = models.StepStateRow.objects.using(run.database).filter(run_id=run.run_id)
    return list(
        states.defer("output", "error_message")
        .annotate(
            output_text=display.json_text("output", display.TABLE_JSON), error=Left("error_message", ERROR_LENGTH)
        )
        .order_by("step_index", "step_slug")
    )


def step_cells(state: Any) -> dict[str, Any]:
    """Return what a row of the table of steps shows."""
    waiting = state.status == StepStatus.CREATED and state.remaining_deps
    return {
        "state": state,
        "url": reverse("admin:pgflow_stepstaterow_change", args=[quote(state.key)]),
        "status": display.status(state.status, state.get_status_display()),
        "tasks": display.EMPTY if state.initial_tasks is None else f"{state.completed_tasks}/{state.initial_tasks}",
        "duration": display.duration(state.duration),
        "waits_for": state.remaining_deps if waiting else None,
        "output": display.json_block(state.output_text, display.TABLE_JSON),
        "error": display.block(state.error or "", error=True, cut=len(state.error or "") == ERROR_LENGTH),
    }


def task_context(run: models.Run, states: Sequence[Any]) -> dict[str, Any]:
    """Return the failed tasks of a run, its first tasks, and the way to the others.

    Args:
        run: The run.
        states: Its step states in order of definition; tasks follow it, if all are shown.
    """
    rows = (
        models.StepTaskRow.objects.using(run.database)
        .filter(run_id=run.run_id)
        .select_related("last_worker")
        .defer("input", "output", "error_message")
        .annotate(
            input_text=display.json_text("input", display.TABLE_JSON),
            output_text=display.json_text("output", display.TABLE_JSON),
            error=Left(F("error_message"), ERROR_LENGTH),
        )
        .order_by("step_slug", "task_index")
    )
    tasks = list(rows[: LISTED_TASKS + 1])
    failed = list(rows.with_status("failed")[:LISTED_FAILED]) if len(tasks) > LISTED_TASKS else []
    if len(tasks) <= LISTED_TASKS:
        places = {state.step_slug: place for place, state in enumerate(states)}
        tasks.sort(key=lambda task: (places.get(task.step_slug, 0), task.step_slug, task.task_index))
    return {
        "tasks": [task_cells(task) for task in tasks[:LISTED_TASKS]],
        "failed_tasks": [task_cells(task) for task in failed],
        "has_more_tasks": len(tasks) > LISTED_TASKS,
        "tasks_url": f"{reverse('admin:pgflow_steptaskrow_changelist')}?run={run.run_id}",
    }


def task_cells(task: Any) -> dict[str, Any]:
    """Return what a row of the table of tasks shows."""
    return {
        "task": task,
        "url": reverse("admin:pgflow_steptaskrow_change", args=[quote(task.key)]),
        "status": display.status(task.status, task.get_status_display()),
        "duration": display.duration(task.duration if task.status != "queued" else None),
        "input": display.json_block(task.input_text, display.TABLE_JSON),
        "output": display.json_block(task.output_text, display.TABLE_JSON),
        "error": display.block(task.error or "", error=True, cut=len(task.error or "") == ERROR_LENGTH),
        "has_error": bool(task.error),
        "worker": task.last_worker,
    }
