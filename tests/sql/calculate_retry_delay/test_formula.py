"""``calculate_retry_delay``: exponential back-off."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from tests.fixtures.sql import Sql


def delay(sql: Sql, base_delay: Decimal | float, attempts_count: int) -> int:
    """Ask the database."""
    return int(
        sql.value(
            "select pgflow.calculate_retry_delay(base_delay => %(base)s, attempts_count => %(attempts)s)",
            base=Decimal(str(base_delay)),
            attempts=attempts_count,
        )
    )


@pytest.mark.parametrize(
    ("base_delay", "attempts_count", "expected"),
    [(1, 2, 4), (2, 3, 16), (5, 1, 10), (1.5, 1, 3), (0, 30, 0), (0.3, 1, 0), (5, 0, 5), (5, 28, 1342177280)],
)
def test_the_delay_doubles_with_each_attempt(sql: Sql, base_delay: float, attempts_count: int, expected: int) -> None:
    assert delay(sql, base_delay, attempts_count) == expected


def test_a_delay_beyond_the_integer_range_raises(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.NumericValueOutOfRange, match="integer out of range"):
        delay(sql, 5, 29)
