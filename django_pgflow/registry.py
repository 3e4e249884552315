"""Slug -> flow, for all flows that the code declares."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules

from django_pgflow import conf, exceptions
from django_pgflow.dsl.definition import FlowDefinition

_flows: dict[str, FlowDefinition] = {}


def register(flow: FlowDefinition) -> None:
    """Make a flow known.

    Raises:
        FlowDefinitionError: E005, the slug is taken; E003, it is taken but for upper and lower case.
    """
    for other in _flows.values():
        if other.slug.lower() == flow.slug.lower():
            same = other.slug == flow.slug
            raise exceptions.FlowDefinitionError(
                f"There are two flows {flow.slug!r}"
                + ("; the other" if same else f" and {other.slug!r}, which would share one queue; the second")
                + f" stands at {other.location}. Rename one.",
                location=flow.location,
                check_id="pgflow.E005" if same else "pgflow.E003",
            )
    _flows[flow.slug] = flow


def unregister(slug: str) -> None:
    """Forget a flow, for tests that make some. The database keeps it."""
    _flows.pop(slug, None)


def all_flows() -> dict[str, FlowDefinition]:
    """Return all flows by slug, in the order of their declaration; the dict is a copy."""
    return dict(_flows)


def get(slug: str) -> FlowDefinition:
    """Return a flow.

    Raises:
        FlowNotFound: None is registered under this slug.
    """
    try:
        return _flows[slug]
    except KeyError:
        raise exceptions.FlowNotFound(slug, _flows) from None


def autodiscover() -> None:
    """Import the module ``flows`` of each installed app, and those of ``PGFLOW["FLOW_MODULES"]``."""
    written = conf.raw()
    if not isinstance(written, Mapping):
        raise ImproperlyConfigured(f"PGFLOW is {written!r}, not a dict.")
    autodiscover_modules("flows")
    modules = written.get("FLOW_MODULES", ())
    if isinstance(modules, str):
        raise ImproperlyConfigured(f"PGFLOW['FLOW_MODULES'] is the string {modules!r}; write a list: [{modules!r}].")
    for module in modules:
        importlib.import_module(module)
