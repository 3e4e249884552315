"""``create_flow``: a row and a queue."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.fixtures.sql import DEADLINE, Sessions, Sql


def create(sql: Sql, flow_slug: str, **options: Any) -> Any:
    """Create a flow and return its row."""
    (flow,) = sql.call("pgflow.create_flow", flow_slug=flow_slug, **options)
    return flow


def options(flow: Any) -> tuple[int, int, int]:
    """Return attempts, base delay and timeout."""
    return flow.opt_max_attempts, flow.opt_base_delay, flow.opt_timeout


def queues(sql: Sql, queue_name: str) -> int:
    """Count the queues of a name."""
    return int(sql.value("select count(*) from pgmq.list_queues() where queue_name = %(name)s", name=queue_name))


def test_creates_one_row_and_one_queue_of_the_same_name(sql: Sql) -> None:
    flow = create(sql, "flow")
    assert flow.flow_slug == "flow"
    assert sql.value("select count(*) from pgflow.flows where flow_slug = 'flow'") == 1
    assert queues(sql, "flow") == 1


def test_creating_again_adds_nothing_and_returns_the_flow(sql: Sql) -> None:
    first = create(sql, "flow")
    assert create(sql, "flow") == first
    assert sql.value("select count(*) from pgflow.flows where flow_slug = 'flow'") == 1
    assert queues(sql, "flow") == 1


def test_creating_again_brings_a_missing_queue_back(sql: Sql) -> None:
    create(sql, "flow")
    sql.rows("select pgmq.drop_queue('flow')")
    create(sql, "flow")
    assert queues(sql, "flow") == 1
    assert sql.queued_messages("flow") == []


def test_defaults_are_three_attempts_five_seconds_sixty_seconds(sql: Sql) -> None:
    assert options(create(sql, "flow")) == (3, 5, 60)


def test_null_options_mean_the_defaults(sql: Sql) -> None:
    assert options(create(sql, "flow", max_attempts=None, base_delay=7, timeout=None)) == (3, 7, 60)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_attempts": 9}, (9, 5, 60)),
        ({"base_delay": 9}, (3, 9, 60)),
        ({"timeout": 9}, (3, 5, 9)),
        ({"max_attempts": 0, "base_delay": 0}, (0, 0, 60)),
    ],
)
def test_each_option_can_be_given_alone(sql: Sql, given: dict[str, int], expected: tuple[int, int, int]) -> None:
    assert options(create(sql, "flow", **given)) == expected


def test_creating_again_with_other_options_changes_none(sql: Sql) -> None:
    create(sql, "flow", max_attempts=1, base_delay=2, timeout=3)
    assert options(create(sql, "flow", max_attempts=4, base_delay=5, timeout=6)) == (1, 2, 3)


def test_a_flow_is_stamped_with_its_creation(sql: Sql) -> None:
    assert create(sql, "flow").created_at == sql.value("select now()")


def test_a_bad_slug_is_refused_by_its_check(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="slug_is_valid"):
        create(sql, "not-a-slug")


@pytest.mark.parametrize(
    ("option", "value", "constraint"),
    [
        ("max_attempts", -1, "opt_max_attempts_is_nonnegative"),
        ("base_delay", -1, "opt_base_delay_is_nonnegative"),
        ("timeout", 0, "opt_timeout_is_positive"),
    ],
)
def test_a_bad_option_is_refused_by_its_check(sql: Sql, option: str, value: int, constraint: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
        create(sql, "flow", **{option: value})


def test_a_slug_of_47_characters_is_accepted(sql: Sql) -> None:
    assert create(sql, "f" * 47).flow_slug == "f" * 47


def test_a_slug_too_long_for_a_queue_is_refused(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="47"):
        create(sql, "f" * 48)


def test_a_slug_that_differs_only_in_case_is_refused(sql: Sql) -> None:
    create(sql, "Order")
    with sql.transaction():
        create(sql, "Order")
    with pytest.raises(psycopg.Error, match="Order"):
        create(sql, "order")


def test_two_sessions_may_create_the_same_flow_at_once(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    with first.transaction():
        create(first, "flow_of_two")
        waiting = sessions.begin(create, second, "flow_of_two")
        sessions.wait_until_blocked(second, waiting)
    assert waiting.result(timeout=DEADLINE).flow_slug == "flow_of_two"
    assert queues(first, "flow_of_two") == 1


def test_later_flows_are_not_stamped_before_earlier_ones(sessions: Sessions) -> None:
    sql = sessions.open()
    first, second = (sql.call("pgflow.create_flow", flow_slug=slug)[0] for slug in ("first", "second"))
    assert first.created_at < second.created_at
