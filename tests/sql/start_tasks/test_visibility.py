"""``start_tasks``: a claimed message is hidden for the timeout and two seconds."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sql


def test_the_timeout_of_the_flow_counts_where_the_step_has_none(sql: Sql) -> None:
    sql.define("flow", "a", timeout=100)
    sql.start("flow", {})
    assert sql.visible_in(sql.claim_one("flow")) == pytest.approx(102, abs=2)


def test_the_timeout_of_the_step_goes_before_that_of_the_flow(sql: Sql) -> None:
    sql.define("flow", timeout=100)
    sql.add_step("flow", "a", timeout=500)
    sql.add_step("flow", "b", timeout=20)
    sql.start("flow", {})
    assert [sql.visible_in(task) for task in sql.claim("flow")] == pytest.approx([502, 22], abs=2)


def test_a_message_that_starts_nothing_keeps_its_visibility(sql: Sql) -> None:
    sql.define("flow", "a", timeout=100)
    sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.hurry("flow")
    sql.start_tasks("flow", sql.read("flow", vt=7), sql.worker_id)
    assert sql.visible_in(task) == pytest.approx(7, abs=2)


def test_the_count_of_reads_is_left_alone(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.start("flow", {})
    sql.claim_one("flow")
    assert [message.read_ct for message in sql.queued_messages("flow")] == [1]
