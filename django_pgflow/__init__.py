"""Durable workflows for Django, inside the Postgres a project already has."""

from django_pgflow.__about__ import __version__
from django_pgflow.dsl.conditions import completed
from django_pgflow.dsl.context import Context, get_context
from django_pgflow.dsl.steps import Step
from django_pgflow.exceptions import (
    FailedByCondition,
    FlowDefinitionError,
    FlowNotFound,
    FlowNotInstalled,
    InvalidInput,
    NonRetryable,
    NotSerializable,
    PgflowError,
    RetryAfter,
    RunCancelled,
    RunEnded,
    RunExists,
    RunFailed,
    RunNotFailed,
    RunNotFound,
    RunTimeout,
    ShapeMismatch,
    ShuttingDown,
    SkipStep,
    TaskCancelled,
)
from django_pgflow.flow import Flow, start_flow

__all__ = [
    "Context",
    "FailedByCondition",
    "Flow",
    "FlowDefinitionError",
    "FlowNotFound",
    "FlowNotInstalled",
    "InvalidInput",
    "NonRetryable",
    "NotSerializable",
    "PgflowError",
    "RetryAfter",
    "RunCancelled",
    "RunEnded",
    "RunExists",
    "RunFailed",
    "RunNotFailed",
    "RunNotFound",
    "RunTimeout",
    "ShapeMismatch",
    "ShuttingDown",
    "SkipStep",
    "Step",
    "TaskCancelled",
    "__version__",
    "completed",
    "get_context",
    "start_flow",
]
