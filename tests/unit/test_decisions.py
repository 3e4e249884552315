"""``RetryAfter``: when is when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_pgflow import NonRetryable, PgflowError, RetryAfter, SkipStep


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        (30, 30),
        (29.2, 30),
        (0, 0),
        (-5, 0),
        (timedelta(minutes=2), 120),
        (timedelta(seconds=-1), 0),
        (timedelta.max, RetryAfter.LONGEST),
        (float("inf"), RetryAfter.LONGEST),
        (10**30, RetryAfter.LONGEST),
    ],
)
def test_a_delay_is_whole_seconds_that_the_database_can_hold(when: Any, seconds: int) -> None:
    assert RetryAfter(when).seconds() == seconds


def test_a_time_is_a_delay_from_now() -> None:
    assert 89 <= RetryAfter(datetime.now(UTC) + timedelta(seconds=90)).seconds() <= 90
    assert RetryAfter(datetime.now(UTC) - timedelta(days=1)).seconds() == 0


@pytest.mark.parametrize("when", ["30", None, True, float("nan"), datetime(2030, 1, 1)])
def test_anything_else_is_a_type_error(when: Any) -> None:
    with pytest.raises(TypeError, match="RetryAfter takes"):
        RetryAfter(when)


def test_the_message_says_when_unless_it_says_why() -> None:
    assert str(RetryAfter(30)) == "after 30"
    assert str(RetryAfter(30, "rate limit")) == "rate limit"
    assert RetryAfter(30).count
    assert not RetryAfter(30, count=False).count


def test_decisions_are_errors_of_ours() -> None:
    assert issubclass(NonRetryable, PgflowError)
    assert issubclass(SkipStep, PgflowError)
