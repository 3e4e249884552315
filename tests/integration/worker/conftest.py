"""Fixtures of the worker's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_pgflow import Flow, compiler, models, registry
from tests.fixtures.worker import eventually, query


@pytest.fixture
def make_flow(transactional_db: None) -> Iterator[Callable[..., Flow]]:
    """Return a function that makes a flow of some handlers and writes it to the database.

    Keyword arguments whose value is a dict are options of the step of that name. A handler of the name ``each_...`` is
    a root map.
    """
    slugs: list[str] = []

    def make(
        *handlers: Callable[..., Any], slug: str = "probe", step: dict[str, Any] | None = None, **options: Any
    ) -> Flow:
        flow = Flow(slug, **{"max_attempts": 1, "base_delay": 1, "timeout": 30, **options})
        slugs.append(slug)
        for handler in handlers:
            decorate = flow.map if handler.__name__.startswith("each_") else flow.step
            decorate(**(step or {}))(handler)
        compiler.sync({slug: flow}, using="default", verbosity=0)
        return flow

    yield make
    for slug in slugs:
        registry.unregister(slug)


def ended(run: models.Run) -> models.Run:
    """Wait for a run's end and return it as it is then."""

    def look() -> models.Run | None:
        found = models.Run.objects.get(pk=run.pk)
        return found if found.status != "started" else None

    return eventually(look, f"the end of run {run.pk}")


def task_rows(run: models.Run) -> list[tuple[Any, ...]]:
    """Return (step, index, status, attempts that count, error) of a run's tasks."""
    return query(
        "select step_slug, task_index, status, attempts_count - forgiven_count, error_message from pgflow.step_tasks "
        "where run_id = %s order by 1, 2",
        run.pk,
    )
