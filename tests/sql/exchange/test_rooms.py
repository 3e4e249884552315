"""``exchange``: a worker that has little room for some flows or steps gets no more of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from django_pgflow.db.core.current import Core
from django_pgflow.db.records import ExchangeRecord, Rooms
from tests.fixtures.sql import DEADLINE, Sessions, Sql


def exchange(sql: Sql, flow_slugs: Sequence[str], capacity: int, **rooms: Any) -> list[ExchangeRecord]:
    return sql.ask(Core().exchange(sql.worker_id, flow_slugs, capacity, rooms=Rooms(**rooms)))


def by_flow(records: list[ExchangeRecord]) -> Counter[str]:
    return Counter(record.flow_slug for record in records)


def by_step(records: list[ExchangeRecord]) -> Counter[str]:
    return Counter(record.step_slug for record in records)


@pytest.fixture
def three(sql: Sql) -> Sql:
    """Three flows with fifty tasks each."""
    for slug in ("first", "second", "third"):
        sql.define(slug, "each[]")
        sql.start(slug, list(range(50)))
    return sql


def test_what_a_flow_has_no_room_for_goes_to_the_others(three: Sql) -> None:
    for _ in range(6):  # whichever of them comes first
        counts = by_flow(exchange(three, ["first", "second", "third"], 12, flows={"second": 2}))
        assert sum(counts.values()) == 12
        assert counts["second"] == 2
        assert min(counts["first"], counts["third"]) >= 4


def test_a_flow_without_room_gets_nothing(three: Sql) -> None:
    assert by_flow(exchange(three, ["first", "second"], 4, flows={"second": 0})) == {"first": 4}


def test_room_that_is_larger_than_the_share_is_used_up_where_the_others_have_nothing(sql: Sql) -> None:
    sql.define("full", "each[]")
    sql.start("full", list(range(50)))
    for slug in ("empty", "none"):
        sql.define(slug, "each[]")
    assert len(exchange(sql, ["full", "empty", "none"], 12, flows={"full": 7})) == 7


@pytest.fixture
def steps(sql: Sql) -> Sql:
    """A flow whose queue has eight tasks of each of two steps; those of "narrow" come first."""
    sql.define("flow", "narrow[]", "wide[]")
    sql.start("flow", list(range(8)))
    return sql


def test_a_step_gets_no_more_than_it_has_room_for_and_does_not_stand_in_the_way(steps: Sql) -> None:
    claimed = exchange(steps, ["flow"], 6, steps={"flow": {"narrow": 2}})
    assert by_step(claimed) == {"narrow": 2, "wide": 4}
    claimed = exchange(steps, ["flow"], 100, steps={"flow": {"narrow": 0}})
    assert by_step(claimed) == {"wide": 4}
    assert by_step(exchange(steps, ["flow"], 100)) == {"narrow": 6}


def test_the_first_messages_of_a_step_come_first(steps: Sql) -> None:
    claimed = exchange(steps, ["flow"], 6, steps={"flow": {"narrow": 2}})
    first = min(message.msg_id for message in steps.queued_messages("flow"))
    narrow = sorted(record.msg_id for record in claimed if record.step_slug == "narrow")
    assert narrow[0] == first
    assert narrow[1] < min(message.msg_id for message in steps.queued_messages("flow") if message.visible_in <= 0)


def test_several_steps_have_rooms_of_their_own(steps: Sql) -> None:
    claimed = exchange(steps, ["flow"], 100, steps={"flow": {"narrow": 3, "wide": 1}})
    assert by_step(claimed) == {"narrow": 3, "wide": 1}


def test_what_was_left_is_neither_hidden_nor_locked(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "each[]")
    first.start("race", list(range(10)))
    assert len(exchange(first, ["race"], 5, steps={"race": {"each": 2}})) == 2
    visible = [message for message in first.queued_messages("race") if message.visible_in <= 0]
    assert len(visible) == 8
    claims = sessions.begin(exchange, second, ["race"], 10)
    assert len(claims.result(timeout=DEADLINE)) == 8


def test_a_claimed_message_is_hidden_for_the_timeout(sql: Sql) -> None:
    sql.define("flow", "a", timeout=100)
    sql.start("flow", {})
    (task,) = exchange(sql, ["flow"], 5, steps={"flow": {"a": 3}})
    assert sql.visible_in(task) == pytest.approx(102, abs=3)


def test_messages_that_name_no_step_are_set_aside_all_the_same(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.rows("select pgmq.send('flow', '{}')")
    assert exchange(sql, ["flow"], 5, steps={"flow": {"a": 1}}) == []
    assert sql.message_counts("flow") == (0, 1)
