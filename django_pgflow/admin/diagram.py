"""The diagrams of flows and runs: ``django_pgflow.graph`` draws, this chooses words, colours and links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_pgflow import models
from django_pgflow.graph import svg
from django_pgflow.statuses import StepStatus

MAX_STEPS = 150
"""Flows with more steps are listed, not drawn."""


def of_flow(flow: models.Flow, steps: Iterable[models.Step], parents: Mapping[str, Iterable[str]]) -> SafeString | None:
    """Draw a flow's steps and edges."""
    nodes = [
        svg.Node(
            id=step.step_slug,
            detail=str(step.get_step_type_display()),
            stacked=step.step_type == "map",
        )
        for step in steps
    ]
    edges = [(parent, child) for child, found in parents.items() for parent in found]
    return _draw(nodes, edges, _("Flow %(flow)s") % {"flow": flow.flow_slug})


def of_run(run: models.Run, states: Iterable[Any]) -> SafeString | None:
    """Draw a run: the steps of its flow, each with the word and the colour of its state.

    Args:
        run: The run.
        states: Its step states, as ``StepStateRow``.
    """
    found = list(states)
    alias = run.database
    types = dict(
        models.Step.objects.using(alias)
        .filter(flow_slug=run.flow_slug)
        .values_list("step_slug", "step_type")
        .order_by()
    )
    known = {state.step_slug for state in found}
    edges = [
        (parent, child)
        for parent, child in models.Dependency.objects.using(alias)
        .filter(flow_slug=run.flow_slug)
        .values_list("dep_slug", "step_slug")
        if parent in known and child in known
    ]
    nodes = [
        svg.Node(
            id=state.step_slug,
            detail=_detail(state),
            css_class=f"pgflow-node-{state.status}",
            fill=f"var(--pgflow-{state.status}-bg)",
            stroke=f"var(--pgflow-{state.status}-fg)",
            text=f"var(--pgflow-{state.status}-fg)",
            dashed=state.status in (StepStatus.CREATED, StepStatus.SKIPPED),
            stacked=types.get(state.step_slug) == "map",
            href=reverse("admin:pgflow_stepstaterow_change", args=[quote(state.key)]),
            title=f"{state.step_slug}: {state.get_status_display()}",
        )
        for state in found
    ]
    return _draw(nodes, edges, _("Run of %(flow)s") % {"flow": run.flow_slug})


def _detail(state: Any) -> str:
    """Return the state's word and, where there are several tasks, how many are done."""
    word = str(state.get_status_display())
    if state.initial_tasks is None or state.initial_tasks == 1 or state.status == StepStatus.SKIPPED:
        return word
    return ngettext("%(status)s, %(done)d of %(all)d", "%(status)s, %(done)d of %(all)d", state.initial_tasks) % {
        "status": word,
        "done": state.completed_tasks,
        "all": state.initial_tasks,
    }


def _draw(nodes: list[svg.Node], edges: list[tuple[str, str]], title: str) -> SafeString | None:
    return svg.draw(nodes, edges, title=title) if 0 < len(nodes) <= MAX_STEPS else None
