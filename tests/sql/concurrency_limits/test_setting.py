"""Limits that are set, changed and taken away while tasks wait."""

from __future__ import annotations

import psycopg
import pytest

from tests.fixtures.sql import Sql, completed
from tests.sql.concurrency_limits.conftest import indexes, limit, noted, wake


@pytest.fixture
def flow(sql: Sql) -> Sql:
    """A map of ten tasks, two at a time, two of them started."""
    sql.define("flow", "each[]")
    limit(sql, 2)
    sql.start("flow", list(range(10)))
    return sql


def test_a_higher_limit_wakes_as_many_more(flow: Sql) -> None:
    flow.exchange(["flow"])
    limit(flow, 5)
    assert indexes(flow.exchange(["flow"])) == [2, 3, 4]


def test_a_lower_limit_takes_nothing_away_and_lets_nothing_begin_until_there_are_fewer(flow: Sql) -> None:
    one, two = flow.exchange(["flow"])
    limit(flow, 1)
    assert flow.exchange(["flow"], completed(one)) == []
    wake(flow)
    assert indexes(flow.exchange(["flow"], completed(two))) == [2]


def test_without_a_limit_all_are_woken(flow: Sql) -> None:
    flow.exchange(["flow"])
    limit(flow, None)
    assert indexes(flow.exchange(["flow"])) == list(range(2, 10))
    assert noted(flow) == {"admitted": 2}


def test_a_limit_that_goes_with_its_step_wakes_all_that_waited(flow: Sql) -> None:
    """As when somebody deletes the row by hand: the next look of any worker wakes them."""
    flow.exchange(["flow"])
    flow.rows("delete from django_pgflow.concurrency_limits")
    wake(flow)
    assert indexes(flow.exchange(["flow"])) == list(range(2, 10))


def test_another_key_sorts_out_anew_who_waits_for_whom(sql: Sql) -> None:
    sql.define("flow", "each")
    limit(sql, 1, "a")
    for a, b in [(1, 1), (1, 2), (1, 1), (1, 3)]:
        sql.start("flow", {"a": a, "b": b})
    assert [task.input["run"]["b"] for task in sql.exchange(["flow"])] == [1]
    limit(sql, 1, "b")
    assert [task.input["run"]["b"] for task in sql.exchange(["flow"])] == [2, 3]
    assert noted(sql) == {"admitted": 3, "waiting": 1}


def test_a_limit_that_comes_late_counts_what_begins_from_then_on(sql: Sql) -> None:
    sql.define("flow", "each[]")
    sql.start("flow", list(range(10)))
    first = sql.exchange(["flow"], capacity=4)
    limit(sql, 2)
    following = sql.exchange(["flow"])
    assert indexes(following) == [4, 5]
    assert indexes(sql.exchange(["flow"], *map(completed, first))) == []
    assert indexes(sql.exchange(["flow"], *map(completed, following))) == [6, 7]


@pytest.mark.parametrize("max_count", [0, -1])
def test_a_limit_that_lets_nothing_through_is_refused(flow: Sql, max_count: int) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="max_count_is_positive"), flow.transaction():
        limit(flow, max_count)


def test_a_limit_belongs_to_a_step(flow: Sql) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="concurrency_limits_step_fkey"), flow.transaction():
        limit(flow, 1, step="nothing")
