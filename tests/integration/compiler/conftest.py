"""Helpers for tests of the compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from django_pgflow import Flow, registry

Build = Callable[..., Flow]


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget at the end the flows that a test makes."""
    monkeypatch.setattr(registry, "_flows", dict(registry._flows))


@pytest.fixture
def build() -> Build:
    """Make a flow of ``slug=[dependencies]`` steps; one that was there under the slug is replaced."""

    def make(slug: str = "shop", /, *, options: dict[str, Any] | None = None, **steps: list[str]) -> Flow:
        registry.unregister(slug)
        flow = Flow(slug, **(options or {}))
        for step, dependencies in steps.items():
            flow.step(_handler(), slug=step, depends_on=dependencies)
        return flow

    return make


def _handler() -> Callable[[], None]:
    def handler() -> None: ...

    return handler


def rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """Return what a statement selects."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def execute(sql: str, *params: Any) -> None:
    """Execute a statement that returns nothing."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
