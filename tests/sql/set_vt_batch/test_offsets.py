"""``set_vt_batch``: an own visibility for each message."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.fixtures.sql import Sql


def set_vt_batch(
    sql: Sql, msg_ids: list[int] | None, vt_offsets: list[int] | None, queue_name: str = "letters"
) -> list[Any]:
    """Call the function; rows by message id."""
    rows = sql.call("pgflow.set_vt_batch", queue_name=queue_name, msg_ids=msg_ids, vt_offsets=vt_offsets)
    return sorted(rows, key=lambda row: row.msg_id)


@pytest.fixture
def ids(sql: Sql) -> list[int]:
    """Send three messages."""
    sql.rows("select pgmq.create('letters')")
    rows = sql.rows(
        "select * from pgmq.send_batch('letters', %(messages)s::jsonb[]) as id",
        messages=[Jsonb({"n": n}) for n in range(3)],
    )
    return [row.id for row in rows]


def test_each_message_gets_its_own_offset(sql: Sql, ids: list[int]) -> None:
    rows = set_vt_batch(sql, ids, [10, 200, 3000])
    assert [row.msg_id for row in rows] == ids
    waits = [message.visible_in for message in sql.queued_messages("letters")]
    assert waits == pytest.approx([10, 200, 3000], abs=2)


def test_all_fields_are_returned_and_the_message_is_unchanged(sql: Sql, ids: list[int]) -> None:
    (row,) = set_vt_batch(sql, ids[1:2], [60])
    (message,) = [message for message in sql.queued_messages("letters") if message.msg_id == ids[1]]
    assert row._fields == ("msg_id", "read_ct", "enqueued_at", "vt", "message", "headers")
    assert (row.read_ct, row.enqueued_at, row.vt) == (message.read_ct, message.enqueued_at, message.vt)
    assert (row.message, row.headers, row.read_ct) == ({"n": 1}, None, 0)


def test_headers_are_returned_where_there_are_any(sql: Sql) -> None:
    sql.rows("select pgmq.create('letters')")
    msg_id = sql.value("select * from pgmq.send('letters', '{}'::jsonb, '{\"h\": 1}'::jsonb)")
    assert set_vt_batch(sql, [msg_id], [1])[0].headers == {"h": 1}


def test_unknown_messages_are_passed_over(sql: Sql, ids: list[int]) -> None:
    assert set_vt_batch(sql, [987654321], [5]) == []
    assert [row.msg_id for row in set_vt_batch(sql, [987654321, ids[0]], [5, 6])] == [ids[0]]


@pytest.mark.parametrize(("msg_ids", "offsets"), [([], []), (None, [1]), ([1], None), (None, None)])
def test_nothing_to_do_gives_no_rows(
    sql: Sql, ids: list[int], msg_ids: list[int] | None, offsets: list[int] | None
) -> None:
    assert set_vt_batch(sql, msg_ids, offsets) == []


def test_a_zero_or_negative_offset_makes_visible(sql: Sql, ids: list[int]) -> None:
    sql.read("letters", vt=100)
    set_vt_batch(sql, ids[:2], [0, -5])
    assert sql.read("letters") == ids[:2]


@pytest.mark.parametrize(("msg_ids", "offsets"), [([1, 2], [1]), ([1], []), ([], [1])])
def test_arrays_of_different_lengths_are_refused(
    sql: Sql, ids: list[int], msg_ids: list[int], offsets: list[int]
) -> None:
    with pytest.raises(psycopg.errors.RaiseException) as caught:
        set_vt_batch(sql, msg_ids, offsets)
    assert (
        caught.value.diag.message_primary
        == f"msg_ids length ({len(msg_ids)}) must equal vt_offsets length ({len(offsets)})"
    )


def test_a_missing_queue_is_named(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable, match=r'relation "pgmq\.q_nowhere" does not exist'):
        set_vt_batch(sql, [1], [1], queue_name="nowhere")


@pytest.mark.parametrize("queue_name", ["a$b", "a;b", "a--b", "a'b"])
def test_a_bad_queue_name_is_refused(sql: Sql, queue_name: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="queue name contains invalid characters"):
        set_vt_batch(sql, [1], [1], queue_name=queue_name)


def test_a_queue_with_capitals_is_found(sql: Sql) -> None:
    sql.rows("select pgmq.create('Letters')")
    msg_id = sql.value("select * from pgmq.send('Letters', '{}'::jsonb)")
    assert len(set_vt_batch(sql, [msg_id], [1], queue_name="Letters")) == 1
