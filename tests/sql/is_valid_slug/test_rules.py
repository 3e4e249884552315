"""``is_valid_slug``: which names a flow or step may have."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sql


def is_valid(sql: Sql, slug: str | None) -> bool | None:
    """Ask the database."""
    result: bool | None = sql.value("select pgflow.is_valid_slug(slug => %(slug)s)", slug=slug)
    return result


@pytest.mark.parametrize("slug", ["word", "two_words", "_private", "MixedCase", "v2", "Run", "RUN", "runs", "a" * 128])
def test_a_valid_slug(sql: Sql, slug: str) -> None:
    assert is_valid(sql, slug) is True


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "with-dash",
        "with space",
        "2nd",
        "run",
        "a" * 129,
        "é",
        "naïve",
        "dot.ted",
        "semi;colon",
        "new\nline",
        "end\n",
    ],
)
def test_an_invalid_slug(sql: Sql, slug: str) -> None:
    assert is_valid(sql, slug) is False


def test_null_is_invalid_rather_than_unknown(sql: Sql) -> None:
    assert is_valid(sql, None) is False
