"""Array literals, for parameters of many elements: psycopg's own take several times as long to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def numbers(values: Sequence[Any]) -> str:
    """Write integers or UUIDs."""
    return "{" + ",".join(map(str, values)) + "}"


def texts(values: Sequence[str | None]) -> str:
    """Write texts; None is NULL."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def texts_if_any(values: Sequence[str | None]) -> str | None:
    """Write texts; None for an array in which nothing is said."""
    return texts(values) if any(value is not None for value in values) else None


def _quoted(value: str) -> str:
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if '"' in value:
        value = value.replace('"', '\\"')
    return f'"{value}"'
