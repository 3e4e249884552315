"""``start_flow``: what it refuses; nothing of the run remains then."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from tests.fixtures.sql import DEADLINE, SQL_NULL, Sessions, Sql


def test_an_unknown_flow(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as caught:
        sql.start("nowhere", {})
    assert str(caught.value).startswith(
        'insert or update on table "runs" violates foreign key constraint "runs_flow_slug_fkey"'
    )


def test_slugs_are_compared_with_their_case(sql: Sql) -> None:
    sql.define("flow", "a")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        sql.start("Flow", {})


def test_a_null_input(sql: Sql) -> None:
    sql.define("flow", "a")
    with pytest.raises(psycopg.errors.NotNullViolation) as caught:
        sql.start("flow", SQL_NULL)
    assert (caught.value.diag.table_name, caught.value.diag.column_name) == ("runs", "input")


def test_a_run_id_that_is_taken(sql: Sql) -> None:
    sql.define("flow", "a")
    run_id = uuid4()
    sql.start("flow", {}, run_id=run_id)
    with pytest.raises(psycopg.errors.UniqueViolation) as caught, sql.transaction():
        sql.start("flow", {}, run_id=run_id)
    assert caught.value.diag.constraint_name == "runs_pkey"
    assert len(sql.queued_messages("flow")) == 1


def test_of_two_sessions_with_one_run_id_the_second_is_refused(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("flow_of_two", "a")
    run_id = uuid4()
    with first.transaction():
        first.start("flow_of_two", {}, run_id=run_id)
        waiting = sessions.begin(second.start, "flow_of_two", {}, run_id=run_id)
        assert sessions.wait_until_blocked(second, waiting)
    with pytest.raises(psycopg.errors.UniqueViolation, match="runs_pkey"):
        waiting.result(timeout=DEADLINE)
    assert len(first.queued_messages("flow_of_two")) == 1


def test_a_rolled_back_start_leaves_nothing(sql: Sql) -> None:
    sql.define("flow", "a")
    with sql.transaction():
        run = sql.start("flow", {})
        raise psycopg.Rollback
    assert sql.rows("select 1 from pgflow.runs where run_id = %(id)s", id=run.run_id) == []
    assert sql.queued_messages("flow") == []
