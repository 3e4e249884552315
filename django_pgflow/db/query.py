"""A statement as a value: what to send, and how to read what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")
Params = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Query(Generic[Row]):
    """SQL with named parameters, and a reader for each row.

    Attributes:
        sql: The statement, with ``%(name)s`` placeholders. Never built from data.
        params: A value for each placeholder.
        read: Makes a result of one row, given as a dict by column name.
    """

    sql: str
    params: Params = field(default_factory=dict)
    read: Callable[[dict[str, Any]], Row]
