"""The admin: looks at everything, changes nothing but by the verbs of ``django_pgflow.client``."""

from django_pgflow.admin.flows import FlowAdmin
from django_pgflow.admin.runs import RunAdmin
from django_pgflow.admin.tasks import FailedTaskAdmin, StepStateRowAdmin, StepTaskRowAdmin
from django_pgflow.admin.workers import WorkerAdmin

__all__ = ["FailedTaskAdmin", "FlowAdmin", "RunAdmin", "StepStateRowAdmin", "StepTaskRowAdmin", "WorkerAdmin"]
