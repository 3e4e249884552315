"""Durable workflows for Django, inside the Postgres a project already has."""

from django_pgflow.__about__ import __version__
from django_pgflow.dsl.context import Context
from django_pgflow.dsl.steps import Step
from django_pgflow.exceptions import (
    FlowDefinitionError,
    FlowNotFound,
    FlowNotInstalled,
    InvalidInput,
    NotSerializable,
    PgflowError,
    RunFailed,
    RunNotFound,
    RunTimeout,
    ShapeMismatch,
)
from django_pgflow.flow import Flow, start_flow

__all__ = [
    "Context",
    "Flow",
    "FlowDefinitionError",
    "FlowNotFound",
    "FlowNotInstalled",
    "InvalidInput",
    "NotSerializable",
    "PgflowError",
    "RunFailed",
    "RunNotFound",
    "RunTimeout",
    "ShapeMismatch",
    "Step",
    "__version__",
    "start_flow",
]
