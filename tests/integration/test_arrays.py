"""Array literals are what Postgres reads back."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection

from django_pgflow.db import arrays


def read(literal: str | None, kind: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(f"select %s::{kind}[]", [literal])
        return cursor.fetchone()[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "values",
    [
        [],
        ["a"],
        ["", " ", "NULL", "null", None],
        ['"', "\\", '\\"', "{}", "{a,b}", ",", "'", "%s", "\n\t\x1f", "é😀", '{"a": "\\\\ \\u0001 \\""}'],
    ],
)
def test_texts(values: list[str | None]) -> None:
    assert read(arrays.texts(values), "text") == values


@pytest.mark.django_db
def test_numbers() -> None:
    ids = [uuid.uuid4(), uuid.uuid4()]
    assert read(arrays.numbers(ids), "uuid") == ids
    assert read(arrays.numbers([1, -2]), "integer") == [1, -2]
    assert read(arrays.numbers([]), "integer") == []


def test_nothing_is_written_where_nothing_is_said() -> None:
    assert arrays.texts_if_any([None, None]) is None
    assert arrays.texts_if_any([None, ""]) == '{NULL,""}'
