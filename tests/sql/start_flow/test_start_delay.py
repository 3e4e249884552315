"""``start_flow``: messages of a step with a start delay are hidden that long."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sql


@pytest.mark.parametrize("delay", [300, 3600])
def test_a_delayed_root_step_becomes_visible_later(sql: Sql, delay: int) -> None:
    sql.define("flow", "now")
    sql.add_step("flow", "later", start_delay=delay)
    run = sql.start("flow", {})
    assert sql.visible_in(sql.task(run.run_id, "later")) == pytest.approx(delay, abs=2)
    assert sql.visible_in(sql.task(run.run_id, "now")) <= 0


def test_each_message_of_a_delayed_map_is_hidden(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "each", step_type="map", start_delay=100)
    sql.start("flow", [1, 2, 3])
    assert [message.visible_in for message in sql.queued_messages("flow")] == pytest.approx([100] * 3, abs=2)
    assert sql.claim("flow") == []


def test_a_dependent_step_is_delayed_from_its_own_start(sql: Sql) -> None:
    sql.define("flow", "first")
    sql.add_step("flow", "second", ["first"], start_delay=50)
    run = sql.start("flow", {})
    assert sql.tasks(run.run_id, "second") == []
    sql.complete(sql.claim_one("flow"))
    assert sql.visible_in(sql.task(run.run_id, "second")) == pytest.approx(50, abs=2)


def test_a_retry_does_not_wait_for_the_start_delay_again(sql: Sql) -> None:
    sql.define("flow", base_delay=1)
    sql.add_step("flow", "later", start_delay=500)
    run = sql.start("flow", {})
    sql.hurry("flow")
    sql.fail(sql.claim_one("flow"))
    assert sql.visible_in(sql.task(run.run_id, "later")) == pytest.approx(2, abs=2)
