"""``is_local``: a database is local if it says the well-known secret of local development."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sql

SECRET = "super-secret-jwt-token-with-at-least-32-characters-long"


def is_local(sql: Sql) -> bool | None:
    answer: bool | None = sql.value("select pgflow.is_local()")
    return answer


def test_without_the_setting_it_is_false_rather_than_unknown(sql: Sql) -> None:
    assert is_local(sql) is False


def test_the_exact_secret_is_local(sql: Sql) -> None:
    sql.rows("select set_config('app.settings.jwt_secret', %(secret)s, true)", secret=SECRET)
    assert is_local(sql) is True


@pytest.mark.parametrize("secret", ["", "secret", SECRET + "x", SECRET.upper()])
def test_any_other_value_is_not(sql: Sql, secret: str) -> None:
    sql.rows("select set_config('app.settings.jwt_secret', %(secret)s, true)", secret=secret)
    assert is_local(sql) is False
