"""Worker processes."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_pgflow.models import base

ALIVE_WITHIN = timedelta(seconds=30)
"""A worker whose last sign of life is older counts as dead. Workers give one every 5 seconds by default."""


class WorkerQuerySet(base.ReadOnlyQuerySet["Worker"]):
    """Workers by their signs of life; the database's clock decides."""

    def alive(self) -> Self:
        """Return the workers that give signs of life."""
        return self.filter(stopped_at__isnull=True, last_heartbeat_at__gt=Now() - ALIVE_WITHIN)

    def dead(self) -> Self:
        """Return the workers that fell silent without having stopped in order."""
        return self.filter(stopped_at__isnull=True, last_heartbeat_at__lte=Now() - ALIVE_WITHIN)

    def stopped(self) -> Self:
        """Return the workers that stopped in order."""
        return self.filter(stopped_at__isnull=False)


class Worker(base.PgflowModel):
    """A process that executes tasks.

    Relations: ``step_tasks``, the tasks that it was the last to claim.
    """

    worker_id = models.UUIDField(_("id"), primary_key=True)
    queue_name = models.TextField(_("queues"), help_text=_("Flows that it serves, separated by commas"))
    function_name = models.TextField(_("name"), help_text=_("Where it runs: host and process"))
    started_at = models.DateTimeField(_("started at"))
    deprecated_at = models.DateTimeField(_("deprecated at"), null=True, help_text=_("Asked to take no more work"))
    stopped_at = models.DateTimeField(_("stopped at"), null=True)
    last_heartbeat_at = models.DateTimeField(_("last heartbeat at"))

    objects = WorkerQuerySet.as_manager()

    class Meta(base.PgflowModel.Meta):
        db_table = base.table("workers")
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["-last_heartbeat_at"]

    def __str__(self) -> str:
        return self.function_name

    @property
    def flow_slugs(self) -> list[str]:
        """The flows that it serves."""
        return [slug for slug in self.queue_name.split(",") if slug]

    @property
    def heartbeat_age(self) -> timedelta:
        """Time since its last sign of life."""
        return timezone.now() - self.last_heartbeat_at

    @property
    def state(self) -> str:
        """``"alive"``, ``"dead"`` (silent, not stopped) or ``"stopped"``."""
        if self.stopped_at is not None:
            return "stopped"
        return "alive" if self.heartbeat_age < ALIVE_WITHIN else "dead"
