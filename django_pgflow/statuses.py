"""The statuses of runs, steps and tasks, and the reasons for skipping: pgflow's words, as stored."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class RunStatus(models.TextChoices):
    """Status of a run. A cancelled run is stored as failed, and its cancellation noted in ``django_pgflow``."""

    STARTED = "started", _("started")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")


class StepStatus(models.TextChoices):
    """Status of a step within a run."""

    CREATED = "created", _("created")
    STARTED = "started", _("started")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    SKIPPED = "skipped", _("skipped")


class TaskStatus(models.TextChoices):
    """Status of a task. The last two close the siblings of a task that ended its step or run."""

    QUEUED = "queued", _("queued")
    STARTED = "started", _("started")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    SKIPPED = "skipped", _("skipped")
    CANCELLED = "cancelled", _("cancelled")


class SkipReason(models.TextChoices):
    """Why a step was skipped."""

    CONDITION_UNMET = "condition_unmet", _("condition unmet")
    HANDLER_FAILED = "handler_failed", _("handler failed")
    DEPENDENCY_SKIPPED = "dependency_skipped", _("dependency skipped")
    HANDLER_SKIPPED = "handler_skipped", _("handler skipped")
    RUN_FAILED = "run_failed", _("run failed")
    RUN_CANCELLED = "run_cancelled", _("run cancelled")
