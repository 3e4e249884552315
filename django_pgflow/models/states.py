"""Steps and tasks of runs: step states and step tasks."""

# ruff: noqa: DJ001 - the columns are the core's: a text that is absent is NULL
from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_pgflow.models import base
from django_pgflow.models.definitions import Flow, Step
from django_pgflow.models.runtime import Run
from django_pgflow.models.workers import Worker
from django_pgflow.statuses import SkipReason, StepStatus, TaskStatus


class StepStateQuerySet(base.ReadOnlyQuerySet["StepState"]):
    """Step states by status."""

    def started(self) -> Self:
        """Return the steps in work."""
        return self.filter(status=StepStatus.STARTED)

    def completed(self) -> Self:
        """Return the steps that completed."""
        return self.filter(status=StepStatus.COMPLETED)

    def failed(self) -> Self:
        """Return the steps that failed their run."""
        return self.filter(status=StepStatus.FAILED)

    def skipped(self) -> Self:
        """Return the steps that were left out on purpose."""
        return self.filter(status=StepStatus.SKIPPED)


class StepStateColumns(base.PgflowModel):
    """The columns of a step state, apart from those that lead elsewhere."""

    flow_slug = models.TextField(_("flow"))
    step_slug = models.TextField(_("step"))
    status = models.TextField(_("status"), choices=StepStatus.choices)
    remaining_tasks = models.IntegerField(_("remaining tasks"), null=True)
    initial_tasks = models.IntegerField(_("tasks"), null=True, help_text=_("Unknown until the step's array is known"))
    remaining_deps = models.IntegerField(_("remaining dependencies"))
    output = models.JSONField(_("output"), null=True)
    error_message = models.TextField(_("error"), null=True)
    skip_reason = models.TextField(_("skip reason"), null=True, choices=SkipReason.choices)
    created_at = models.DateTimeField(_("created at"))
    started_at = models.DateTimeField(_("started at"), null=True)
    completed_at = models.DateTimeField(_("completed at"), null=True)
    failed_at = models.DateTimeField(_("failed at"), null=True)
    skipped_at = models.DateTimeField(_("skipped at"), null=True)

    class Meta(base.PgflowModel.Meta):
        abstract = True

    @property
    def completed_tasks(self) -> int | None:
        """How many of its tasks are done; None while their number is unknown."""
        if self.initial_tasks is None:
            return None
        return self.initial_tasks - (self.remaining_tasks if self.remaining_tasks is not None else self.initial_tasks)

    @property
    def ended_at(self) -> Any:
        """When it completed, failed or was skipped; None before."""
        return self.completed_at or self.failed_at or self.skipped_at

    @property
    def duration(self) -> timedelta | None:
        """Time from its start to its end, or until now; None if it has not started."""
        return base.duration(self.started_at, self.ended_at)


class StepState(StepStateColumns):
    """A step within a run. Relations: ``run``, ``flow``, ``step``, ``tasks``."""

    pk = models.CompositePrimaryKey("run_id", "step_slug")
    run = models.ForeignKey(
        Run, models.DO_NOTHING, related_name="step_states", db_constraint=False, verbose_name=_("run")
    )
    flow = models.ForeignObject(
        Flow,
        on_delete=models.DO_NOTHING,
        from_fields=["flow_slug"],
        to_fields=["flow_slug"],
        related_name="step_states",
        verbose_name=_("flow"),
    )
    step = models.ForeignObject(
        Step,
        on_delete=models.DO_NOTHING,
        from_fields=["flow_slug", "step_slug"],
        to_fields=["flow_slug", "step_slug"],
        related_name="states",
        verbose_name=_("step"),
    )

    objects = StepStateQuerySet.as_manager()

    class Meta(StepStateColumns.Meta):
        abstract = False
        db_table = base.table("step_states")
        verbose_name = _("step state")
        verbose_name_plural = _("step states")

    def __str__(self) -> str:
        return f"{self.run_id}/{self.step_slug}"


class StepTaskQuerySet(base.ReadOnlyQuerySet["StepTask"]):
    """Step tasks by status."""

    def queued(self) -> Self:
        """Return the tasks that wait for a worker, or for their time."""
        return self.filter(status=TaskStatus.QUEUED)

    def started(self) -> Self:
        """Return the tasks that a worker has."""
        return self.filter(status=TaskStatus.STARTED)

    def completed(self) -> Self:
        """Return the tasks that completed."""
        return self.filter(status=TaskStatus.COMPLETED)

    def failed(self) -> Self:
        """Return the tasks that used up their attempts. The index of failed tasks serves it."""
        return self.filter(status=TaskStatus.FAILED, failed_at__isnull=False)


class StepTaskColumns(base.PgflowModel):
    """The columns of a step task, apart from those that lead elsewhere.

    ``input`` is the element of a map task; the input of a task of a single step is made of the outputs of its
    dependencies, and None here.
    """

    flow_slug = models.TextField(_("flow"))
    step_slug = models.TextField(_("step"))
    task_index = models.IntegerField(_("index"), help_text=_("Place of the element in a map step's array, from 0"))
    message_id = models.BigIntegerField(_("message id"), null=True)
    status = models.TextField(_("status"), choices=TaskStatus.choices)
    attempts_count = models.IntegerField(_("attempts"))
    error_message = models.TextField(_("error"), null=True)
    output = models.JSONField(_("output"), null=True)
    queued_at = models.DateTimeField(_("queued at"))
    started_at = models.DateTimeField(_("started at"), null=True)
    completed_at = models.DateTimeField(_("completed at"), null=True)
    failed_at = models.DateTimeField(_("failed at"), null=True)
    requeued_count = models.IntegerField(_("requeued"), help_text=_("Times given back because a worker was lost"))
    last_requeued_at = models.DateTimeField(_("last requeued at"), null=True)
    permanently_stalled_at = models.DateTimeField(_("permanently stalled at"), null=True)
    input = models.JSONField(_("input"), null=True)
    forgiven_count = models.IntegerField(
        _("forgiven attempts"), help_text=_("Attempts that do not count: given back, or before a retry by hand")
    )

    class Meta(base.PgflowModel.Meta):
        abstract = True

    @property
    def ended_at(self) -> Any:
        """When it completed or failed; None before."""
        return self.completed_at or self.failed_at

    @property
    def duration(self) -> timedelta | None:
        """Time of its last attempt, or until now; None if none is in work or done."""
        return base.duration(self.started_at, self.ended_at)


class StepTask(StepTaskColumns):
    """One unit of work of a step within a run.

    Relations: ``run``, ``flow``, ``step``, ``step_state``, ``last_worker``.
    """

    pk = models.CompositePrimaryKey("run_id", "step_slug", "task_index")
    extended_until = models.DateTimeField(
        _("extended until"), null=True, help_text=_("The time that its handler asked for")
    )
    run = models.ForeignKey(
        Run, models.DO_NOTHING, related_name="step_tasks", db_constraint=False, verbose_name=_("run")
    )
    last_worker = models.ForeignKey(
        Worker,
        models.DO_NOTHING,
        null=True,
        related_name="step_tasks",
        db_constraint=False,
        verbose_name=_("last worker"),
    )
    flow = models.ForeignObject(
        Flow,
        on_delete=models.DO_NOTHING,
        from_fields=["flow_slug"],
        to_fields=["flow_slug"],
        related_name="step_tasks",
        verbose_name=_("flow"),
    )
    step = models.ForeignObject(
        Step,
        on_delete=models.DO_NOTHING,
        from_fields=["flow_slug", "step_slug"],
        to_fields=["flow_slug", "step_slug"],
        related_name="tasks",
        verbose_name=_("step"),
    )
    step_state = models.ForeignObject(
        StepState,
        on_delete=models.DO_NOTHING,
        from_fields=["run_id", "step_slug"],
        to_fields=["run_id", "step_slug"],
        related_name="tasks",
        verbose_name=_("step state"),
    )

    objects = StepTaskQuerySet.as_manager()

    class Meta(StepTaskColumns.Meta):
        abstract = False
        db_table = base.table("step_tasks")
        verbose_name = _("step task")
        verbose_name_plural = _("step tasks")
        permissions = [("retry_steptask", _("Can retry failed tasks"))]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.step_slug}/{self.task_index}"
