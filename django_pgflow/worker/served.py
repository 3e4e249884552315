"""Which flows a worker serves: those it was told, as far as the database has them in the same shape."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from django_pgflow import compiler, conf, exceptions, registry

if TYPE_CHECKING:
    from django_pgflow.dsl.definition import FlowDefinition

logger = logging.getLogger(__name__)


def choose(flow_slugs: Sequence[str]) -> dict[str, FlowDefinition]:
    """Return the named flows, or all if none is named.

    Raises:
        FlowNotFound: One of them is not in the code; the text lists those that are.
    """
    if not flow_slugs:
        return registry.all_flows()
    return {slug: registry.get(slug) for slug in flow_slugs}


def prepare(flows: Mapping[str, FlowDefinition], *, using: str) -> dict[str, FlowDefinition]:
    """Write the flows to the database, unless ``PGFLOW["SYNC"]`` is off, and return those that can be served.

    A flow that the database does not have in the same shape is left out and logged as an error: its tasks wait for a
    worker whose code fits.

    Raises:
        CoreMissing: The database was not migrated.
    """
    refused = _sync(flows, using) if conf.get().SYNC else _compare(flows, using)
    for slug, reason in refused.items():
        logger.error("Flow not served flow=%s: %s", slug, reason)
    return {slug: flow for slug, flow in flows.items() if slug not in refused}


def _sync(flows: Mapping[str, FlowDefinition], using: str) -> dict[str, str]:
    report = compiler.sync(flows, using=using, verbosity=0)
    if not report.installed:
        raise exceptions.CoreMissing(using)
    return {slug: str(error) for slug, error in report.refused.items()}


def _compare(flows: Mapping[str, FlowDefinition], using: str) -> dict[str, str]:
    # Other options than in the code are somebody's choice where SYNC is off; other steps are not.
    different = compiler.differences(flows, using=using, options=False)
    return {
        slug: f"{'; '.join(lines)}. PGFLOW['SYNC'] is off: run `manage.py pgflow_sync`."
        for slug, lines in different.items()
    }
