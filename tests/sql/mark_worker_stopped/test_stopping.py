"""``mark_worker_stopped``: notes that a worker has ended."""

from __future__ import annotations

from uuid import uuid4

from tests.fixtures.sql import Sql


def test_the_worker_is_stamped_by_the_clock(sql: Sql) -> None:
    worker_id = sql.worker()
    query = "select * from pgflow.workers where worker_id = %(id)s"
    before = sql.row(query, id=worker_id)
    assert before.stopped_at is None
    sql.call("pgflow.mark_worker_stopped", worker_id=worker_id)
    after = sql.row(query, id=worker_id)
    assert after.stopped_at > sql.value("select now()")
    assert after._replace(stopped_at=None) == before


def test_other_workers_go_on(sql: Sql) -> None:
    other = sql.worker()
    sql.call("pgflow.mark_worker_stopped", worker_id=sql.worker())
    assert sql.value("select stopped_at from pgflow.workers where worker_id = %(id)s", id=other) is None


def test_an_unknown_worker_is_passed_over(sql: Sql) -> None:
    sql.call("pgflow.mark_worker_stopped", worker_id=uuid4())
