"""``start_flow`` and ``start_flows`` of schema ``django_pgflow``: once, later, with notes."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.fixtures.sql import Sql, json
from tests.integration.control.conftest import cancel, details, start


def now(sql: Sql) -> Any:
    return sql.value("select clock_timestamp()")


def test_a_run_is_started_once_under_its_id(sql: Sql) -> None:
    sql.define("flow", "a")
    run_id = uuid.uuid4()
    first = start(sql, "flow", {"n": 1}, run_id=run_id, if_absent=True)
    second = start(sql, "flow", {"n": 2}, run_id=run_id, if_absent=True, meta='{"n": 2}')
    assert (first.run_id, first.created, second.created) == (run_id, True, False)
    assert first[:-1] == second[:-1]
    assert sql.message_counts("flow") == (1, 0)
    assert details(sql, run_id) is None


def test_the_run_that_exists_is_returned_whatever_became_of_it(sql: Sql) -> None:
    sql.define("flow", "a")
    run_id = uuid.uuid4()
    start(sql, "flow", {}, run_id=run_id, if_absent=True)
    cancel(sql, run_id)
    found = start(sql, "flow", {}, run_id=run_id, if_absent=True)
    assert (found.status, found.created) == ("failed", False)


def test_an_id_of_another_flow_is_an_error(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.define("other", "a")
    run_id = start(sql, "other", {}).run_id
    with pytest.raises(psycopg.errors.UniqueViolation, match="exists already, and is not of flow flow"):
        start(sql, "flow", {}, run_id=run_id, if_absent=True)


def test_an_id_that_is_taken_is_an_error_without_if_absent(sql: Sql) -> None:
    sql.define("flow", "a")
    run_id = start(sql, "flow", {}).run_id
    with pytest.raises(psycopg.errors.UniqueViolation, match="runs_pkey"):
        start(sql, "flow", {}, run_id=run_id)


def test_an_error_of_the_start_is_no_existing_run(sql: Sql) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        start(sql, "nowhere", {}, run_id=uuid.uuid4(), if_absent=True)


def test_nothing_can_be_claimed_before_its_time(sql: Sql) -> None:
    sql.define("flow", "a", "b", "c < a")
    sql.add_step("flow", "slow", start_delay=100)
    run = start(sql, "flow", {}, start_at=now(sql) + timedelta(seconds=600))
    assert sql.exchange(["flow"]) == []
    assert run.status == "started"
    a, b, slow = (sql.visible_in(sql.task(run.run_id, slug)) for slug in ("a", "b", "slow"))
    assert 595 < a <= 601
    assert 595 < b <= 601
    assert 695 < slow <= 701
    sql.hurry("flow")
    assert len(sql.exchange(["flow"])) == 3


@pytest.mark.parametrize("seconds", [-60, 0])
def test_a_time_that_has_passed_means_at_once(sql: Sql, seconds: int) -> None:
    sql.define("flow", "a")
    start(sql, "flow", {}, start_at=now(sql) + timedelta(seconds=seconds))
    assert len(sql.exchange(["flow"])) == 1


def test_the_far_future_is_kept_within_what_the_queue_holds(sql: Sql) -> None:
    sql.define("flow", "a")
    run = start(sql, "flow", {}, start_at="4000-01-01T00:00:00Z")
    assert sql.visible_in(sql.task(run.run_id, "a")) > 2_147_483_000


def test_meta_is_kept(sql: Sql) -> None:
    sql.define("flow", "a")
    assert details(sql, start(sql, "flow", {}, meta='{"tenant": "acme"}').run_id).meta == {"tenant": "acme"}
    assert details(sql, start(sql, "flow", {}).run_id) is None


def test_a_run_without_tasks_ends_at_once(sql: Sql) -> None:
    sql.define("flow", "many[]")
    run = start(sql, "flow", [], start_at=now(sql) + timedelta(seconds=600))
    assert (run.status, run.output, run.created) == ("completed", {"many": []}, True)


def test_many_runs_share_time_and_meta(sql: Sql) -> None:
    sql.define("flow", "a")
    runs = sql.call(
        "django_pgflow.start_flows",
        flow_slug="flow",
        inputs=[json(1), json(2)],
        start_at=now(sql) + timedelta(seconds=600),
        meta='{"batch": 7}',
    )
    assert [run.input for run in runs] == [1, 2]
    assert [details(sql, run.run_id).meta for run in runs] == [{"batch": 7}] * 2
    assert all(sql.visible_in(sql.task(run.run_id, "a")) > 590 for run in runs)
