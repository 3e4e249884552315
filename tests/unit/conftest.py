"""Flows that a test makes are forgotten at its end."""

from __future__ import annotations

import pytest

from django_pgflow import registry


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_flows", dict(registry._flows))
