"""Runs: flows in execution."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from asgiref.sync import sync_to_async
from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from django_pgflow import client
from django_pgflow.db import database
from django_pgflow.db.records import RetryRecord, RunFailureRecord, RunRecord
from django_pgflow.dsl import codec
from django_pgflow.models import base
from django_pgflow.models.definitions import Flow
from django_pgflow.statuses import RunStatus


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

    def cancelled(self) -> Self:
        """Return the runs that were cancelled; for the database they have failed."""
        return self.filter(details__cancelled_at__isnull=False)

    def newest_first(self) -> Self:
        """Order by start, the newest first, as the index of runs does."""
        return self.order_by("-started_at", "run_id")


class Run(base.PgflowModel):
    """One execution of a flow: a row to look at, and verbs to wait for it and to control it.

    Relations: ``flow``, ``step_states``, ``step_tasks``, ``details`` (a ``RunDetails``, for runs that have one),
    ``failed_attempts``, ``task_progress``, ``child_runs``.
    ``output`` is ``{leaf step: output}`` once completed.

    Attributes:
        created: Of what ``start`` returned: whether that call made the run; False if it existed under its key. None of
            a run that was read.
    """

    created: bool | None = None

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
    def from_record(cls, record: RunRecord, using: str, *, created: bool | None = None) -> Self:
        """Make a run of what the database returned; ``input`` is read when it is asked for.

        Args:
            record: The row, as ``django_pgflow.client`` returns it.
            using: The database alias that it came from.
            created: Whether this call made it.
        """
        names = [field.attname for field in cls._meta.concrete_fields if hasattr(record, field.attname)]
        run = cls.from_db(using, names, [getattr(record, name) for name in names])
        run.created = created
        return run

    # -- what it was

    @property
    def ended_at(self) -> Any:
        """When it completed or failed; None while it goes on."""
        return self.completed_at or self.failed_at

    @property
    def duration(self) -> timedelta:
        """Time from start to end, or until now."""
        return base.duration(self.started_at, self.ended_at) or timedelta()

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled. Asks for ``details`` if it failed: in lists, ``select_related("details")``."""
        if self.status != RunStatus.FAILED:
            return False
        details = getattr(self, "details", None)
        return details is not None and details.cancelled_at is not None

    @property
    def display_status(self) -> str:
        """The status for people: ``"cancelled"`` where the database says failed and the run was cancelled."""
        return "cancelled" if self.is_cancelled else self.status

    @property
    def child_runs(self) -> RunQuerySet:
        """The runs that its tasks started by ``ctx.start``."""
        return Run.objects.using(self._state.db).filter(details__parent_run=self.run_id)

    @cached_property
    def failure(self) -> RunFailureRecord | None:
        """The first thing that went wrong, or None if the run has not failed. A query; remembered."""
        if self.status != RunStatus.FAILED:
            return None
        alias = self._state.db or database.default().alias
        db = database.Database(alias)
        found = db.run(db.core.run_failure(self.run_id))
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
            RunCancelled: It was cancelled.
            RunTimeout, WouldDeadlock: As ``join`` does.
        """
        self.join(timeout)
        return client.result(self.run_id, using=self._state.db)

    async def aresult(self, timeout: float | None = None) -> Any:
        """Do as ``result`` does, from a coroutine."""
        await self.ajoin(timeout)
        return await client.aresult(self.run_id, using=self._state.db)

    def cancel(self, reason: str = "") -> None:
        """End the run: no task of it begins any more, and reports of those in work do not count.

        Raises:
            RunEnded: It has ended.
        """
        self._update(client.cancel(self.run_id, reason, using=self._state.db))

    async def acancel(self, reason: str = "") -> None:
        """Do as ``cancel`` does, from a coroutine."""
        self._update(await client.acancel(self.run_id, reason, using=self._state.db))

    def resume(self) -> None:
        """Let the run go on after it failed or was cancelled: finished tasks are kept, the others begin anew.

        Raises:
            RunNotFailed: It has not failed.
            FailedByCondition: It failed by a condition on its input, which cannot change.
        """
        self._update(client.resume(self.run_id, using=self._state.db))

    async def aresume(self) -> None:
        """Do as ``resume`` does, from a coroutine."""
        self._update(await client.aresume(self.run_id, using=self._state.db))

    def restart(self, /, *args: Any, **kwargs: Any) -> Run:
        """Start a new run of the same flow; this one is left as it is.

        Without arguments the input is the same; else they are a whole new input, as in ``flow.start``.

        Returns:
            The new run; its ``details.restarted_from_id`` is the id of this one.

        Raises:
            InvalidInput: The flow maps over its input, which is no list.
            NotSerializable: The input cannot be stored as JSON.
        """
        using = self._state.db or database.default().alias
        record = client.restart(self.run_id, self._new_input(args, kwargs), using=using)
        return Run.from_record(record, using, created=True)

    async def arestart(self, /, *args: Any, **kwargs: Any) -> Run:
        """Do as ``restart`` does, from a coroutine."""
        return await sync_to_async(lambda: self.restart(*args, **kwargs), thread_sensitive=True)()

    def retry(self) -> list[RetryRecord]:
        """Retry the failed tasks of this run: it goes on from there, finished work is kept.

        Returns:
            What became of each failed task; empty if there is none.
        """
        failed = self.step_tasks.using(self._state.db).failed()
        tasks = failed.order_by("step_slug", "task_index").values_list("run_id", "step_slug", "task_index")
        return client.retry_tasks(list(tasks), using=self._state.db)

    async def aretry(self) -> list[RetryRecord]:
        """Do as ``retry`` does, from a coroutine."""
        return await sync_to_async(self.retry, thread_sensitive=True)()

    def _new_input(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        if len(args) > 1 or (args and kwargs):
            raise TypeError("A run has one input: give one positional argument, or keyword arguments for a dict.")
        if not args and not kwargs:
            return None
        return codec.dumps(args[0] if args else kwargs)

    def _update(self, record: RunRecord) -> str:
        self.__dict__.pop("failure", None)
        self._state.fields_cache.pop("details", None)
        for name in record.__dataclass_fields__:
            setattr(self, name, getattr(record, name))
        return self.status
