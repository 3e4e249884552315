"""Verbs of the admin: each behind a permission, confirmed, logged, and answered row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_pgflow import client, conf, exceptions, models
from django_pgflow.db.records import RetryRecord
from django_pgflow.models.rows import parse

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]

RETRY = "pgflow.retry_steptask"
MAX_TASKS = 1_000
"""Tasks that one action retries at most."""
LISTED = 20
"""Tasks that a page names one by one; more are counted."""

OUTCOMES: dict[str, tuple[int, Any]] = {
    "queued": (messages.SUCCESS, gettext_lazy("Queued again, with fresh attempts")),
    "not_found": (messages.ERROR, gettext_lazy("Not retried: the task does not exist any more")),
    "not_failed": (messages.WARNING, gettext_lazy("Not retried: the task is not failed (any more)")),
    "run_not_failed": (messages.WARNING, gettext_lazy("Not retried: its step was skipped and the run went on")),
    "condition": (
        messages.ERROR,
        gettext_lazy("Not retried: the run failed by a condition on its input, which a retry cannot change"),
    ),
}


def may_retry(request: HttpRequest) -> bool:
    """Return whether the user may retry failed tasks."""
    return bool(request.user.has_perm(RETRY))


def retry(request: HttpRequest, tasks: Sequence[models.StepTaskRow]) -> list[RetryRecord]:
    """Retry tasks, log each that was queued, and tell the user what became of each."""
    database = conf.get().DATABASE
    by_identity = {task.identity: task for task in tasks}
    # Together, so that nothing is retried without a trace where the log is in the same database.
    with transaction.atomic(using=database):
        try:
            records = client.retry_tasks(list(by_identity), using=database)
        except exceptions.NotSupported as error:
            messages.error(request, str(error))
            return []
        retried = [by_identity[name(record)] for record in records if record.outcome == "queued"]
        if retried:
            runs = {task.run_id: models.Run(run_id=task.run_id, flow_slug=task.flow_slug) for task in retried}
            log(request, retried, _("Retried the failed task."))
            log(request, list(runs.values()), _("Retried failed tasks of the run."))
    for outcome in dict.fromkeys(record.outcome for record in records):
        level, text = OUTCOMES.get(outcome, (messages.WARNING, outcome))
        rows = [by_identity[name(record)] for record in records if record.outcome == outcome]
        messages.add_message(request, level, _answer(text, rows))
    return records


def chosen(keys: Sequence[str]) -> list[models.StepTaskRow]:
    """Return the tasks of these keys; those that are gone, too, by what the key says of them."""
    rows = models.StepTaskRow.objects.using(conf.get().DATABASE).filter(key__in=keys).slim()
    found = {row.key: row for row in rows}
    for key in keys:
        if key not in found and (parts := parse(key, 3)) is not None:
            run_id, step_slug, task_index = UUID(str(parts[0])), str(parts[1]), int(str(parts[2]))
            found[key] = models.StepTaskRow(
                key=key, run_id=run_id, step_slug=step_slug, task_index=task_index, flow_slug="?"
            )
    return [found[key] for key in keys if key in found]


def log(request: HttpRequest, rows: Sequence[Any], message: str) -> None:
    """Write a line to the history of each row."""
    LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, message)  # type: ignore[arg-type]


def name(record: RetryRecord) -> tuple[Any, str, int]:
    """Return what names a task."""
    return (record.run_id, record.step_slug, record.task_index)


def _answer(text: Any, rows: Sequence[models.StepTaskRow]) -> str:
    named = format_html_join(", ", "{}", ((row,) for row in rows[:LISTED]))
    more = len(rows) - LISTED
    rest = format_html(" {}", ngettext("and %(n)d more", "and %(n)d more", more) % {"n": more}) if more > 0 else ""
    return format_html("{} ({}): {}{}", text, len(rows), named, rest)


@admin.action(permissions=["retry"], description=gettext_lazy("Retry selected tasks"))
def retry_selected(modeladmin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> TemplateResponse | None:
    """Ask for a confirmation that counts; then retry exactly what was confirmed."""
    if request.POST.get("confirmed"):
        # Not the queryset: tasks that are failed no more have left it, and deserve an answer as well.
        keys = request.POST.getlist(ACTION_CHECKBOX_NAME)[:MAX_TASKS]
        retry(request, chosen(keys))
        return None
    tasks = list(queryset[: MAX_TASKS + 1])
    return confirm(
        modeladmin,
        request,
        tasks[:MAX_TASKS],
        title=_("Retry failed tasks"),
        is_cut=len(tasks) > MAX_TASKS,
        fields=[("action", "retry_selected"), *((ACTION_CHECKBOX_NAME, task.key) for task in tasks[:MAX_TASKS])],
    )


def confirm(
    modeladmin: ModelAdmin,
    request: HttpRequest,
    tasks: Sequence[models.StepTaskRow],
    *,
    title: str,
    fields: Sequence[tuple[str, str]],
    is_cut: bool = False,
    **context: Any,
) -> TemplateResponse:
    """Return the page that says what a retry will do, and asks.

    Args:
        modeladmin: Whose list or page the question comes from.
        request: The request.
        tasks: What would be retried.
        title: Of the page.
        fields: Hidden fields of the form.
        is_cut: Whether more tasks were asked for than one action retries.
        **context: More for the template.
    """
    return TemplateResponse(
        request,
        "pgflow/retry_confirmation.html",
        {
            **modeladmin.admin_site.each_context(request),
            "title": title,
            "opts": modeladmin.model._meta,
            "media": modeladmin.media,
            "tasks": tasks[:LISTED],
            "more_count": max(len(tasks) - LISTED, 0),
            "task_count": len(tasks),
            "run_count": len({task.run_id for task in tasks}),
            "is_cut": is_cut,
            "max_tasks": MAX_TASKS,
            "fields": fields,
            **context,
        },
    )
