"""pgmq: the life of queues and their names."""

from __future__ import annotations

import psycopg
import pytest

from tests.fixtures.sql import Sql

CREATES = ["create", "create_non_partitioned", "create_unlogged", "create_partitioned"]
TAKING_A_NAME = [
    "pgmq.create(%(name)s::text)",
    "pgmq.drop_queue(%(name)s::text)",
    "pgmq.purge_queue(%(name)s::text)",
    "pgmq.send(%(name)s::text, '{}'::jsonb)",
    "pgmq.send_batch(%(name)s::text, array['{}']::jsonb[])",
    "pgmq.read(%(name)s::text, 1, 1)",
    "pgmq.pop(%(name)s::text)",
    "pgmq.set_vt(%(name)s::text, 1::bigint, 1)",
    "pgmq.archive(%(name)s::text, 1::bigint)",
    "pgmq.delete(%(name)s::text, 1::bigint)",
    "pgmq.metrics(%(name)s::text)",
]


def tables(sql: Sql) -> set[str]:
    rows = sql.rows("select relname from pg_class where relnamespace = 'pgmq'::regnamespace and relkind = 'r'")
    return {row.relname for row in rows}


@pytest.mark.parametrize("function", CREATES)
def test_48_characters_are_refused(sql: Sql, function: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match=r"queue name is too long, maximum length is 4[78]"):
        sql.rows(f"select pgmq.{function}(%(name)s::text)", name="q" * 48)


@pytest.mark.parametrize("function", CREATES[:3])
def test_47_characters_are_accepted(sql: Sql, function: str) -> None:
    sql.rows(f"select pgmq.{function}(%(name)s::text)", name="q" * 47)
    assert {f"q_{'q' * 47}", f"a_{'q' * 47}"} <= tables(sql)


@pytest.mark.parametrize("function", CREATES[:3])
def test_creating_a_queue_twice_is_harmless(sql: Sql, function: str) -> None:
    for _ in range(2):
        sql.rows(f"select pgmq.{function}('twice'::text)")
    assert sql.value("select count(*) from pgmq.list_queues() where queue_name = 'twice'") == 1


def test_a_partitioned_queue_without_pg_partman_is_refused(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="pg_partman is required for partitioned queues"):
        sql.rows("select pgmq.create_partitioned('parts'::text)")


def test_dropping_says_whether_there_was_a_queue(sql: Sql) -> None:
    sql.rows("select pgmq.create('here'::text)")
    assert sql.value("select pgmq.drop_queue('here'::text)") is True
    assert sql.value("select pgmq.drop_queue('here'::text)") is False
    assert not {"q_here", "a_here"} & tables(sql)
    assert sql.rows("select queue_name from pgmq.list_queues() where queue_name = 'here'") == []


def test_purging_returns_the_number_and_empties_the_queue(sql: Sql) -> None:
    sql.rows("select pgmq.create('full'::text)")
    sql.rows("select pgmq.send_batch('full'::text, array['1', '2', '3']::jsonb[])")
    assert sql.value("select pgmq.purge_queue('full'::text)") == 3
    assert sql.message_counts("full") == (0, 0)


def test_a_rolled_back_create_leaves_no_table(sql: Sql) -> None:
    with sql.transaction() as transaction:
        sql.rows("select pgmq.create('gone'::text)")
        transaction.force_rollback = True
    assert "q_gone" not in tables(sql)


@pytest.mark.parametrize("name", ["my-queue", "MyQueue", "My-Queue"])
def test_hyphens_and_capitals_work_through_the_whole_life(sql: Sql, name: str) -> None:
    sql.rows("select pgmq.create(%(name)s::text)", name=name)
    assert {f"q_{name.lower()}", f"a_{name.lower()}"} <= tables(sql)
    assert sql.rows("select queue_name from pgmq.list_queues() where queue_name = %(name)s", name=name) != []
    first = sql.value("select pgmq.send(%(name)s::text, '1'::jsonb)", name=name)
    second = sql.value("select pgmq.send(%(name)s::text, '2'::jsonb)", name=name)
    assert sql.read(name) == [first, second]
    assert sql.value("select pgmq.archive(%(name)s::text, %(id)s::bigint)", name=name, id=first)
    assert sql.value("select pgmq.delete(%(name)s::text, %(id)s::bigint)", name=name, id=second)
    assert sql.message_counts(name) == (0, 1)
    assert sql.value("select pgmq.drop_queue(%(name)s::text)", name=name) is True


@pytest.mark.parametrize("call", TAKING_A_NAME)
@pytest.mark.parametrize("name", ["a$b", "a--b", "a;b", "a'b"])
def test_dangerous_characters_are_refused_everywhere(sql: Sql, call: str, name: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="queue name contains invalid characters"):
        sql.rows(f"select {call}", name=name)


def test_a_missing_queue_has_no_relation(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable, match=r'relation "pgmq.q_nowhere" does not exist'):
        sql.rows("select pgmq.send('nowhere'::text, '{}'::jsonb)")


def test_metrics_count_length_visible_length_and_all_that_was_ever_sent(sql: Sql) -> None:
    sql.rows("select pgmq.create('counted'::text)")
    sql.rows("select pgmq.send_batch('counted'::text, array['1', '2', '3']::jsonb[])")
    sql.rows("select pgmq.send('counted'::text, '4'::jsonb, 60)")
    sql.rows("select pgmq.archive('counted'::text, 1::bigint)")
    # What is visible is counted as of the transaction's begin.
    sql.rows("update pgmq.q_counted set vt = now() - interval '1 second' where vt < now() + interval '30 seconds'")
    metrics = sql.row("select * from pgmq.metrics('counted'::text)")
    assert (metrics.queue_name, metrics.queue_length, metrics.queue_visible_length) == ("counted", 3, 2)
    assert (metrics.total_messages, metrics.newest_msg_age_sec, metrics.oldest_msg_age_sec) == (4, 0, 0)
    assert "counted" in {row.queue_name for row in sql.rows("select * from pgmq.metrics_all()")}
