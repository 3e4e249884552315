"""The tables of the core as read-only Django models."""

from django_pgflow.models.definitions import Dependency, Flow, Step
from django_pgflow.models.details import FailedAttempt, RunDetails, TaskProgress
from django_pgflow.models.rows import FailedTask, StepStateRow, StepTaskRow
from django_pgflow.models.runtime import Run
from django_pgflow.models.states import StepState, StepTask
from django_pgflow.models.workers import Worker

__all__ = [
    "Dependency",
    "FailedAttempt",
    "FailedTask",
    "Flow",
    "Run",
    "RunDetails",
    "Step",
    "StepState",
    "StepStateRow",
    "StepTask",
    "StepTaskRow",
    "TaskProgress",
    "Worker",
]
