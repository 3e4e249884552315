"""pgmq: sending, reading, hiding and removing messages."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sessions, Sql


@pytest.fixture
def queue(sql: Sql) -> Sql:
    """Have a queue named ``queue``."""
    sql.rows("select pgmq.create('queue'::text)")
    return sql


def send(sql: Sql, *bodies: str) -> list[int]:
    rows = sql.rows("select * from pgmq.send_batch('queue'::text, %(bodies)s::jsonb[])", bodies=list(bodies))
    return [row[0] for row in rows]


def visible_in(sql: Sql) -> list[float]:
    return [message.visible_in for message in sql.queued_messages("queue")]


def test_a_message_read_without_hiding_can_be_read_again_at_once(queue: Sql) -> None:
    ids = send(queue, '{"x": 1}')
    assert [queue.read("queue", vt=0) for _ in range(3)] == [ids, ids, ids]
    rows = queue.rows("select msg_id, read_ct from pgmq.read('queue'::text, 0, 1, '{\"x\": 1}'::jsonb)")
    assert [tuple(row) for row in rows] == [(ids[0], 4)]


def test_a_read_with_a_condition_takes_only_what_contains_it(queue: Sql) -> None:
    _, match = send(queue, '{"x": 1}', '{"x": 2, "y": 3}')
    rows = queue.rows("select msg_id from pgmq.read('queue'::text, 0, 10, '{\"x\": 2}'::jsonb)")
    assert [row.msg_id for row in rows] == [match]


def test_reading_hides_and_counts(queue: Sql) -> None:
    ids = send(queue, "1")
    assert queue.read("queue", vt=30) == ids
    assert queue.read("queue") == []
    (message,) = queue.queued_messages("queue")
    assert message.read_ct == 1
    assert 28 < message.visible_in <= 30


def test_the_quantity_limits_a_read_and_the_lowest_come_first(queue: Sql) -> None:
    ids = send(queue, "1", "2", "3")
    assert queue.read("queue", 2) == ids[:2]
    assert queue.read("queue", 2) == ids[2:]


def test_set_vt_hides_a_message_and_polling_waits_until_it_reappears(queue: Sql) -> None:
    (message_id,) = send(queue, "1")
    row = queue.row("select * from pgmq.set_vt('queue'::text, %(id)s::bigint, 1)", id=message_id)
    assert (row.msg_id, row.read_ct) == (message_id, 0)
    assert queue.read("queue") == []
    rows = queue.rows("select msg_id from pgmq.read_with_poll('queue'::text, 5, 10, 5, 50)")
    assert [row.msg_id for row in rows] == [message_id]


def test_polling_for_no_time_reads_nothing(queue: Sql) -> None:
    send(queue, "1")
    assert queue.rows("select msg_id from pgmq.read_with_poll('queue'::text, 5, 10, 0, 50)") == []


def test_set_vt_on_an_unknown_message_returns_nothing(queue: Sql) -> None:
    assert queue.rows("select msg_id from pgmq.set_vt('queue'::text, 999::bigint, 5)") == []


@pytest.mark.parametrize("delay", ["60", "clock_timestamp() + interval '60 seconds'"])
def test_a_delay_or_a_time_postpones_a_message(queue: Sql, delay: str) -> None:
    queue.rows(f"select pgmq.send('queue'::text, '1'::jsonb, {delay})")
    assert queue.read("queue") == []
    assert visible_in(queue) == [pytest.approx(60, abs=2)]


@pytest.mark.parametrize("delay", ["60", "clock_timestamp() + interval '60 seconds'"])
def test_a_delay_or_a_time_postpones_a_batch(queue: Sql, delay: str) -> None:
    queue.rows(f"select pgmq.send_batch('queue'::text, array['1', '2']::jsonb[], {delay})")
    assert queue.read("queue") == []
    assert visible_in(queue) == [pytest.approx(60, abs=2)] * 2


def test_a_batch_returns_its_ids_in_order(queue: Sql) -> None:
    ids = send(queue, *(str(n) for n in range(20)))
    assert ids == sorted(ids)
    assert [message.message for message in queue.queued_messages("queue")] == list(range(20))


def test_a_batch_pairs_headers_with_bodies(queue: Sql) -> None:
    queue.rows(
        "select pgmq.send_batch('queue'::text, array['1', '2']::jsonb[], array['{\"h\": 1}', '{\"h\": 2}']::jsonb[])"
    )
    pairs = [(message.message, message.headers) for message in queue.queued_messages("queue")]
    assert pairs == [(1, {"h": 1}), (2, {"h": 2})]


def test_archiving_a_batch_returns_what_was_moved_and_keeps_it_whole(queue: Sql) -> None:
    queue.rows("select pgmq.send('queue'::text, '{\"x\": 1}'::jsonb, '{\"h\": 1}'::jsonb)")
    ids = [1, *send(queue, "2")]
    rows = queue.rows("select * from pgmq.archive('queue'::text, %(ids)s::bigint[])", ids=[*ids, 999])
    assert {row[0] for row in rows} == set(ids)
    assert queue.queued_messages("queue") == []
    first, second = queue.archived_messages("queue")
    assert (first.message, first.headers, second.message, second.headers) == ({"x": 1}, {"h": 1}, 2, None)


def test_archiving_one_says_whether_it_was_there(queue: Sql) -> None:
    (message_id,) = send(queue, "1")
    archive = "select pgmq.archive('queue'::text, %(id)s::bigint)"
    assert [queue.value(archive, id=message_id), queue.value(archive, id=message_id)] == [True, False]


def test_deleting_a_batch_returns_what_was_deleted(queue: Sql) -> None:
    ids = send(queue, "1", "2")
    rows = queue.rows("select * from pgmq.delete('queue'::text, %(ids)s::bigint[])", ids=[*ids, ids[0], 999])
    assert sorted(row[0] for row in rows) == ids
    assert queue.message_counts("queue") == (0, 0)


def test_pop_takes_the_lowest_and_nothing_from_an_empty_queue(queue: Sql) -> None:
    assert queue.rows("select msg_id from pgmq.pop('queue'::text)") == []
    first, second = send(queue, "1", "2")
    assert queue.value("select msg_id from pgmq.pop('queue'::text)") == first
    assert [message.msg_id for message in queue.queued_messages("queue")] == [second]
    assert queue.archived_messages("queue") == []


def test_an_uncommitted_send_is_invisible_to_others(sessions: Sessions) -> None:
    sender, reader = sessions.open(), sessions.open()
    sender.define("flow")
    with sender.transaction():
        sender.rows("select pgmq.send('flow'::text, '1'::jsonb)")
        assert reader.read("flow") == []
    assert len(reader.read("flow")) == 1


def test_a_read_in_an_open_transaction_hides_the_message_until_it_is_rolled_back(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("flow")
    first.rows("select pgmq.send('flow'::text, '1'::jsonb)")
    with first.transaction() as transaction:
        assert len(first.read("flow", vt=0)) == 1
        assert second.read("flow") == []
        transaction.force_rollback = True
    assert len(second.read("flow")) == 1
    (message,) = second.queued_messages("flow")
    assert message.read_ct == 1
