"""Flows as the database has them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from django_pgflow import conf, models
from django_pgflow.admin import base, diagram, display
from django_pgflow.admin.base import column
from django_pgflow.db.database import Database
from django_pgflow.db.query import Query
from django_pgflow.statuses import RunStatus

RECENT = 500
"""Runs of each flow, the newest, that its counts look at."""
LISTED_RUNS = 10
"""Runs that a flow's page shows."""


def recent_counts(slugs: list[str], alias: str) -> dict[str, dict[str, int]]:
    """Count the newest runs of some flows by status."""
    query = Query(
        sql="""
            select flows.flow_slug, recent.status, count(*) as runs
            from unnest(%(slugs)s::text[]) as flows (flow_slug)
            cross join lateral (
              select runs.status
              from pgflow.runs
              where runs.flow_slug = flows.flow_slug
              order by runs.started_at desc
              limit %(recent)s
            ) as recent
            group by flows.flow_slug, recent.status
        """,
        params={"slugs": slugs, "recent": RECENT},
        read=lambda row: (row["flow_slug"], row["status"], int(row["runs"])),
    )
    counts: dict[str, dict[str, int]] = {}
    for slug, status, runs in Database(alias).run(query):
        counts.setdefault(slug, {})[status] = runs
    return counts


@admin.register(models.Flow)
class FlowAdmin(base.PgflowAdmin):
    """Flows, with what became of their newest runs."""

    list_display = (
        "flow_slug",
        "steps",
        "opt_max_attempts",
        "opt_base_delay",
        "opt_timeout",
        "recent_runs",
        "created_at",
    )
    list_per_page = 25
    ordering = ("flow_slug",)
    search_fields = ("flow_slug",)
    fields = ("flow_slug", "opt_max_attempts", "opt_base_delay", "opt_timeout", "created_at", "recent_runs", "all_runs")
    readonly_fields = fields

    def complete(self, rows: list[Any]) -> list[Any]:
        """Add the names of the steps and the counts of the runs."""
        alias, slugs = conf.get().DATABASE, [flow.flow_slug for flow in rows]
        counts = recent_counts(slugs, alias)
        found = models.Step.objects.using(alias).filter(flow_slug__in=slugs).order_by("flow_slug", "step_index")
        names: dict[str, list[str]] = {}
        for flow_slug, step_slug in found.values_list("flow_slug", "step_slug"):
            names.setdefault(flow_slug, []).append(step_slug)
        for flow in rows:
            flow.step_names, flow.counts = names.get(flow.flow_slug, []), counts.get(flow.flow_slug, {})
        return rows

    @column(_("steps"))
    def steps(self, flow: Any) -> str:
        """Name the steps."""
        return ", ".join(flow.step_names) or display.EMPTY

    @column(format_lazy(_("newest runs ({count} at most)"), count=RECENT))
    def recent_runs(self, flow: Any) -> Any:
        """Count the newest runs by status, with links."""
        if not hasattr(flow, "counts"):
            self.complete([flow])
        url = reverse("admin:pgflow_run_changelist")
        cells = (
            (f"{url}?flow={flow.flow_slug}&status={status}", status.value, flow.counts[status], status.label)
            for status in RunStatus
            if flow.counts.get(status)
        )
        return (
            format_html_join(" ", '<a class="pgflow-status pgflow-{1}" href="{0}">{2} {3}</a>', cells) or display.EMPTY
        )

    @column(_("all its runs"))
    def all_runs(self, flow: models.Flow) -> Any:
        """Link to the runs."""
        return display.link(f"{reverse('admin:pgflow_run_changelist')}?flow={flow.flow_slug}", _("Show runs"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the flow with its steps and edges."""
        flow = self.get_object(request, unquote(object_id))
        context = {} if flow is None or not self.has_view_permission(request, flow) else self.context(request, flow)
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def context(self, request: HttpRequest, flow: models.Flow) -> dict[str, Any]:
        """Return what the template of the flow's page shows besides the fields."""
        steps = list(flow.steps.using(flow.database).order_by("step_index"))
        parents: dict[str, list[str]] = {step.step_slug: [] for step in steps}
        for dependency in flow.dependencies.using(flow.database):
            parents[dependency.step_slug].append(dependency.dep_slug)
        context: dict[str, Any] = {
            "steps": [{"step": step, "parents": sorted(parents[step.step_slug])} for step in steps],
            "diagram": diagram.of_flow(flow, steps, parents),
        }
        if base.may_view(request, models.Run):
            runs = models.Run.objects.using(flow.database).for_flow(flow.flow_slug).newest_first()
            context["runs"] = [
                {
                    "run": run,
                    "url": reverse("admin:pgflow_run_change", args=[quote(run.pk)]),
                    "status": display.status(run.status, run.get_status_display()),
                    "started": display.moment(run.started_at),
                    "duration": display.duration(run.duration),
                }
                for run in runs.defer("input", "output")[:LISTED_RUNS]
            ]
        return context
