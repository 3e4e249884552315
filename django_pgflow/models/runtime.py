"""Flows in execution: runs, their step states and their step tasks."""

# ruff: noqa: DJ001 - the columns are the core's: a text that is absent is NULL
from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from django.db import models
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from django_pgflow import client
from django_pgflow.db import database
from django_pgflow.db.records import RetryRecord, RunFailureRecord, RunRecord
from django_pgflow.models import base
from django_pgflow.models.definitions import Flow, Step
from django_pgflow.models.workers import Worker
from django_pgflow.statuses import RunStatus, SkipReason, StepStatus, TaskStatus


class RunQuerySet(base.ReadOnlyQuerySet["Run"]):
    """Runs by flow and status."""

    def for_flow(self, flow_slug: str) -> Self:
        """Return the runs of one flow."""
        return self.filter(flow_slug=flow_slug)

    def started(self) -> Self:
        """Return the runs that have not ended."""
        return self.filter(status=RunStatus.STARTED)

    def completed(self) -> Self:
        """Return the runs that ended well."""
        return self.filter(status=RunStatus.COMPLETED)

    def failed(self) -> Self:
        """Return the runs that failed. The index of failed runs serves it."""
        return self.filter(status=RunStatus.FAILED, failed_at__isnull=False)

    def with_status(self, status: str) -> Self:
        """Return the runs of one status, by an index where there is one."""
        return self.failed() if status == RunStatus.FAILED else self.filter(status=status)

    def newest_first(self) -> Self:
        """Order by start, the newest first, as the index of runs does."""
        return self.order_by("-started_at", "run_id")


class Run(base.PgflowModel):
    """One execution of a flow: a row to look at, and verbs to wait for it and to retry it.

    Relations: ``flow``, ``step_states``, ``step_tasks``. ``output`` is ``{leaf step: output}`` once completed.
    """

    run_id = models.UUIDField(_("id"), primary_key=True)
    flow_slug = models.TextField(_("flow"))
    status = models.TextField(_("status"), choices=RunStatus.choices)
    input = models.JSONField(_("input"))
    output = models.JSONField(_("output"), null=True)
    remaining_steps = models.IntegerField(_("remaining steps"))
    started_at = models.DateTimeField(_("started at"))
    completed_at = models.DateTimeField(_("completed at"), null=True)
    failed_at = models.DateTimeField(_("failed at"), null=True)

    flow = models.ForeignObject(
        Flow,
        on_delete=models.DO_NOTHING,
        from_fields=["flow_slug"],
        to_fields=["flow_slug"],
        related_name="runs",
        verbose_name=_("flow"),
    )

    objects = RunQuerySet.as_manager()

    class Meta(base.PgflowModel.Meta):
        db_table = base.table("runs")
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-started_at", "run_id"]

    def __str__(self) -> str:
        return f"{self.flow_slug} {str(self.run_id)[:8]}"

    @classmethod
    def from_record(cls, record: RunRecord, using: str) -> Self:
        """Make a run of what the database returned; ``input`` is read when it is asked for.

        Args:
            record: The row, as ``django_pgflow.client`` returns it.
            using: The database alias that it came from.
        """
        names = [field.attname for field in cls._meta.concrete_fields if hasattr(record, field.attname)]
        return cls.from_db(using, names, [getattr(record, name) for name in names])

    # -- what it was

    @property
    def ended_at(self) -> Any:
        """When it completed or failed; None while it goes on."""
        return self.completed_at or self.failed_at

    @property
    def duration(self) -> timedelta:
        """Time from start to end, or until now."""
        return duration(self.started_at, self.ended_at) or timedelta()

    @cached_property
    def failure(self) -> RunFailureRecord | None:
        """The first thing that went wrong, or None if the run has not failed. A query; remembered."""
        if self.status != RunStatus.FAILED:
            return None
        alias = self._state.db or database.default().alias
        found = database.Database(alias).run(client.core.run_failure(self.run_id))
        return found[0] if found else None

    @property
    def error(self) -> str:
        """The error text of what failed first; ``""`` if the run has not failed or nothing is noted."""
        return (self.failure.error_message or "") if self.failure else ""

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """Read the row again, and forget the failure."""
        self.__dict__.pop("failure", None)
        super().refresh_from_db(*args, **kwargs)

    # -- verbs

    def join(self, timeout: float | None = None) -> str:
        """Wait until the run has ended, well or not, and return its status. This object is brought up to date.

        Args:
            timeout: Seconds to wait at most; None waits for ever.

        Raises:
            RunTimeout: It did not end in time; it goes on.
            WouldDeadlock: A transaction is open, in which no worker's result could be seen.
        """
        return self._update(client.join(self.run_id, timeout=timeout, using=self._state.db))

    async def ajoin(self, timeout: float | None = None) -> str:
        """Do as ``join`` does, from a coroutine."""
        return self._update(await client.ajoin(self.run_id, timeout=timeout, using=self._state.db))

    def result(self, timeout: float | None = None) -> Any:
        """Wait until the run has ended and return its output, ``{leaf step: output}``.

        Raises:
            RunFailed: The run failed; the error names step and task.
            RunTimeout, WouldDeadlock: As ``join`` does.
        """
        self.join(timeout)
        return client.result(self.run_id, using=self._state.db)

    async def aresult(self, timeout: float | None = None) -> Any:
        """Do as ``result`` does, from a coroutine."""
        await self.ajoin(timeout)
        return await client.aresult(self.run_id, using=self._state.db)

    def retry(self) -> list[RetryRecord]:
        """Retry the failed tasks of this run: it goes on from there, finished work is kept.

        Returns:
            What became of each failed task; empty if there is none.
        """
        failed = StepTask.objects.using(self._state.db).failed().filter(run_id=self.run_id)
        tasks = failed.order_by("step_slug", "task_index").values_list("run_id", "step_slug", "task_index")
        return client.retry_tasks(list(tasks), using=self._state.db)

    def _update(self, record: RunRecord) -> str:
        self.__dict__.pop("failure", None)
        for name in record.__dataclass_fields__:
            setattr(self, name, getattr(record, name))
        return self.status


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
        return duration(self.started_at, self.ended_at)


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
    requeued_count = models.IntegerField(_("requeued"), help_text=_("Times given back because a worker fell silent"))
    last_requeued_at = models.DateTimeField(_("last requeued at"), null=True)
    permanently_stalled_at = models.DateTimeField(_("permanently stalled at"), null=True)
    input = models.JSONField(_("input"), null=True)

    class Meta(base.PgflowModel.Meta):
        abstract = True

    @property
    def ended_at(self) -> Any:
        """When it completed or failed; None before."""
        return self.completed_at or self.failed_at

    @property
    def duration(self) -> timedelta | None:
        """Time of its last attempt, or until now; None if none is in work or done."""
        return duration(self.started_at, self.ended_at)


class StepTask(StepTaskColumns):
    """One unit of work of a step within a run.

    Relations: ``run``, ``flow``, ``step``, ``step_state``, ``last_worker``.
    """

    pk = models.CompositePrimaryKey("run_id", "step_slug", "task_index")
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


def duration(started_at: Any, ended_at: Any) -> timedelta | None:
    """Return the time between two moments; until now without an end, None without a start."""
    return (ended_at or timezone.now()) - started_at if started_at else None
