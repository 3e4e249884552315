"""What the core does not know of runs and tasks, and keeps beside them: details, failed attempts, progress."""

# ruff: noqa: DJ001 - the columns are the core's: a text that is absent is NULL
from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_pgflow.models import base
from django_pgflow.models.runtime import Run
from django_pgflow.models.states import StepTask
from django_pgflow.models.workers import Worker


class RunDetails(base.PgflowModel):
    """What was noted of a run. Only runs that have something to say have a row.

    Relations: ``run``; ``restarted_from``, the run that this one repeats; ``parent_run``, the run of the task that
    started this one. The last two may be gone.
    """

    run = models.OneToOneField(
        Run,
        models.DO_NOTHING,
        primary_key=True,
        related_name="details",
        db_constraint=False,
        verbose_name=_("run"),
    )
    meta: Any = models.JSONField(_("meta"), null=True, help_text=_("Given by the application at the start"))
    restarted_from = models.ForeignKey(
        Run,
        models.DO_NOTHING,
        db_column="restarted_from",
        null=True,
        related_name="restarts",
        db_constraint=False,
        verbose_name=_("restarted from"),
    )
    parent_run = models.ForeignKey(
        Run,
        models.DO_NOTHING,
        null=True,
        related_name="child_details",
        db_constraint=False,
        verbose_name=_("parent run"),
    )
    parent_step_slug = models.TextField(_("step of the parent"), null=True)
    parent_task_index = models.IntegerField(_("index of the parent"), null=True)
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True)
    cancel_reason = models.TextField(_("reason of the cancellation"), null=True)

    objects = base.ReadOnlyQuerySet["RunDetails"].as_manager()

    class Meta(base.PgflowModel.Meta):
        db_table = base.table("run_details", "django_pgflow")
        verbose_name = _("details of a run")
        verbose_name_plural = _("details of runs")

    def __str__(self) -> str:
        return str(self.run_id)


class FailedAttempt(base.PgflowModel):
    """An attempt of a task that failed, whether the task was tried again or not.

    Relations: ``run``, ``step_task``, ``worker``.
    """

    pk = models.CompositePrimaryKey("run_id", "step_slug", "task_index", "attempt")
    run = models.ForeignKey(
        Run, models.DO_NOTHING, related_name="failed_attempts", db_constraint=False, verbose_name=_("run")
    )
    step_slug = models.TextField(_("step"))
    task_index = models.IntegerField(_("index"))
    attempt = models.IntegerField(_("attempt"), help_text=_("Counted from 1"))
    worker = models.ForeignKey(
        Worker,
        models.DO_NOTHING,
        null=True,
        related_name="failed_attempts",
        db_constraint=False,
        verbose_name=_("worker"),
    )
    started_at = models.DateTimeField(_("started at"))
    failed_at = models.DateTimeField(_("failed at"))
    error_class = models.TextField(_("error class"), null=True, help_text=_("Dotted path of the exception"))
    error_message = models.TextField(_("error"), null=True)
    traceback = models.TextField(_("traceback"), null=True)

    step_task = models.ForeignObject(
        StepTask,
        on_delete=models.DO_NOTHING,
        from_fields=["run_id", "step_slug", "task_index"],
        to_fields=["run_id", "step_slug", "task_index"],
        related_name="failed_attempts",
        verbose_name=_("step task"),
    )

    objects = base.ReadOnlyQuerySet["FailedAttempt"].as_manager()

    class Meta(base.PgflowModel.Meta):
        db_table = base.table("failed_attempts", "django_pgflow")
        verbose_name = _("failed attempt")
        verbose_name_plural = _("failed attempts")
        ordering = ["run_id", "step_slug", "task_index", "attempt"]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.step_slug}/{self.task_index}#{self.attempt}"

    @property
    def duration(self) -> timedelta | None:
        """What the attempt took."""
        return base.duration(self.started_at, self.failed_at)


class TaskProgress(base.PgflowModel):
    """How far a task is, as its handler says; the latest word, from its latest attempt.

    Relations: ``run``, ``step_task``.
    """

    pk = models.CompositePrimaryKey("run_id", "step_slug", "task_index")
    run = models.ForeignKey(
        Run, models.DO_NOTHING, related_name="task_progress", db_constraint=False, verbose_name=_("run")
    )
    step_slug = models.TextField(_("step"))
    task_index = models.IntegerField(_("index"))
    attempt = models.IntegerField(_("attempt"), help_text=_("Counted from 1"))
    done = models.FloatField(_("done"))
    total = models.FloatField(_("total"), null=True)
    text = models.TextField(_("text"))
    updated_at = models.DateTimeField(_("updated at"))

    step_task = models.ForeignObject(
        StepTask,
        on_delete=models.DO_NOTHING,
        from_fields=["run_id", "step_slug", "task_index"],
        to_fields=["run_id", "step_slug", "task_index"],
        related_name="progress",
        verbose_name=_("step task"),
    )

    objects = base.ReadOnlyQuerySet["TaskProgress"].as_manager()

    class Meta(base.PgflowModel.Meta):
        db_table = base.table("task_progress", "django_pgflow")
        verbose_name = _("progress of a task")
        verbose_name_plural = _("progress of tasks")
        ordering = ["run_id", "step_slug", "task_index"]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.step_slug}/{self.task_index}: {self.done:g}" + (
            f" of {self.total:g}" if self.total is not None else ""
        )

    @property
    def fraction(self) -> float | None:
        """What is done of the total, from 0 to 1; None if the total is unknown."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total else None
