"""``requeue_lost_tasks``: which workers are lost."""

from __future__ import annotations

import pytest

from django_pgflow.db.core.current import Core
from tests.fixtures.sql import DEADLINE, Sessions, Sql
from tests.sql.requeue_lost_tasks.conftest import Workers


def test_a_worker_that_holds_its_lock_lives(workers: Workers) -> None:
    worker_id = workers.register()
    workers.take_lock(worker_id)
    assert workers.find() == (1, 0, 0)
    assert not workers.looks_lost(worker_id)


def test_one_free_lock_seen_once_proves_nothing(workers: Workers) -> None:
    worker_id = workers.register()
    assert workers.look() == (0, 0, 0)
    assert workers.looks_lost(worker_id)
    assert workers.look() == (0, 0, 0), "not half a second later"
    assert not workers.is_stopped(worker_id)


def test_a_lock_that_is_free_twice_half_a_second_apart_does(workers: Workers) -> None:
    worker_id = workers.register()
    assert workers.find() == (0, 1, 0)
    assert workers.is_stopped(worker_id)
    workers.wait()
    assert workers.look() == (0, 0, 0), "found once is enough"


def test_a_worker_that_took_its_lock_again_lives(workers: Workers) -> None:
    worker_id = workers.register()
    workers.suspect(worker_id)
    workers.take_lock(worker_id)
    assert workers.look() == (1, 0, 0)
    assert not workers.looks_lost(worker_id)
    workers.free_lock(worker_id)
    assert workers.look() == (0, 0, 0), "the clock begins anew"


def test_nothing_is_concluded_from_locks_while_they_are_taken_after_a_start_of_the_server(workers: Workers) -> None:
    worker_id = workers.register()
    workers.start_server(4)
    assert workers.find() == (1, 0, 0)
    assert not workers.looks_lost(worker_id)
    workers.start_server(11)
    assert workers.find() == (0, 1, 0)


def test_with_its_lock_a_worker_may_be_silent_for_as_long_as_it_said(workers: Workers) -> None:
    worker_id = workers.register(silence=60)
    workers.take_lock(worker_id)
    workers.fall_silent(worker_id, 50)
    assert workers.find() == (1, 0, 0)
    workers.fall_silent(worker_id, 61)
    assert workers.find() == (0, 1, 0)


def test_without_locks_only_silence_counts(workers: Workers) -> None:
    worker_id = workers.register(holds_lock=False, silence=20)
    assert workers.find() == (1, 0, 0)
    workers.fall_silent(worker_id, 21)
    assert workers.look() == (0, 0, 0)
    workers.wait()
    assert workers.look() == (0, 1, 0)


@pytest.mark.parametrize("holds_lock", [True, False])
def test_silence_while_the_server_was_down_does_not_count(workers: Workers, holds_lock: bool) -> None:
    worker_id = workers.register(holds_lock=holds_lock, silence=20)
    if holds_lock:
        workers.take_lock(worker_id)
    workers.fall_silent(worker_id, 600)
    workers.start_server(15)
    assert workers.find() == (1, 0, 0)
    workers.start_server(21)
    assert workers.find() == (0, 1, 0)


def test_the_worker_that_asks_lives(workers: Workers) -> None:
    asking, other = workers.register(), workers.register()
    workers.look(asking)
    workers.wait()
    assert workers.look(asking) == (1, 1, 0)
    assert workers.is_stopped(other)
    assert not workers.is_stopped(asking)


def test_workers_that_have_ended_and_those_of_other_libraries_are_passed_over(sql: Sql, workers: Workers) -> None:
    worker_id = workers.register()
    sql.rows("select pgflow.mark_worker_stopped(%(id)s)", id=worker_id)
    foreign_id = sql.worker()
    workers.fall_silent(foreign_id, 10_000)
    assert workers.find() == (0, 0, 0)
    assert not workers.looks_lost(worker_id)


def test_a_worker_that_describes_itself_again_is_alive_again(sql: Sql, workers: Workers) -> None:
    worker_id = workers.register(holds_lock=False)
    workers.fall_silent(worker_id, 1000)
    assert workers.find() == (0, 1, 0)
    assert [record.is_stopped for record in sql.ask(Core().heartbeat(worker_id))] == [True]
    workers.describe(worker_id, holds_lock=False)
    assert [record.is_stopped for record in sql.ask(Core().heartbeat(worker_id))] == [False]
    assert workers.find() == (1, 0, 0)


def test_while_one_session_looks_others_do_not_wait(workers: Workers, sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    worker_id = Workers(first, first).register()
    workers.take_lock(worker_id)
    with first.transaction():
        first.call("django_pgflow.requeue_lost_tasks")
        other = sessions.begin(second.call, "django_pgflow.requeue_lost_tasks")
        assert tuple(other.result(timeout=DEADLINE)[0]) == (1, 0, 0)


def test_any_role_can_tell_when_the_server_was_started(sql: Sql) -> None:
    sql.rows("create role plain")
    sql.rows("grant usage on schema django_pgflow to plain")
    sql.rows("grant execute on function django_pgflow._server_started_at() to plain")
    expected = sql.value("select django_pgflow._server_started_at()")
    sql.rows("set local role plain")
    assert sql.value("select django_pgflow._server_started_at()") == expected
    assert sql.value("select now()") > expected
