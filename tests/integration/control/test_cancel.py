"""``cancel_runs``: a run ends at once, and nothing of it is left behind."""

from __future__ import annotations

import uuid

from tests.fixtures.sql import Sql, completed, failed
from tests.integration.control.conftest import cancel, details, start


def test_a_cancelled_run_has_failed_and_says_why(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    assert cancel(sql, run.run_id, reason="a duplicate") == ["cancelled"]
    now = sql.run(run.run_id)
    assert (now.status, now.completed_at) == ("failed", None)
    noted = details(sql, run.run_id)
    assert (noted.cancel_reason, noted.cancelled_at, noted.meta) == ("a duplicate", now.failed_at, None)


def test_nothing_live_is_left(sql: Sql) -> None:
    sql.define("flow", "a", "b", "many[] < b", "c < a")
    run = sql.start("flow", {})
    a, b = sql.claim("flow")
    sql.complete(b, [1, 2, 3])
    sql.claim("flow", 1)
    assert cancel(sql, run.run_id) == ["cancelled"]
    steps = sql.steps(run.run_id)
    assert {slug: (step.status, step.skip_reason) for slug, step in steps.items()} == {
        "a": ("skipped", "run_cancelled"),
        "b": ("completed", None),
        "many": ("skipped", "run_cancelled"),
        "c": ("created", None),
    }
    assert sql.task_statuses(run.run_id, "a") == ["cancelled"]
    assert sql.task_statuses(run.run_id, "many") == ["cancelled"] * 3
    assert sql.message_counts("flow") == (0, 5)
    assert sql.complete(a, "late").status == "cancelled"


def test_reports_of_a_cancelled_run_are_refused(sql: Sql) -> None:
    sql.define("flow", "a", "b")
    run = sql.start("flow", {})
    one, two = sql.exchange(["flow"])
    cancel(sql, run.run_id)
    refused = sql.exchange(["flow"], completed(one, 1), failed(two))
    assert [record.kind for record in refused] == ["refused"] * 2
    assert sql.task_statuses(run.run_id, "a") == sql.task_statuses(run.run_id, "b") == ["cancelled"]


def test_each_run_gets_its_outcome(sql: Sql) -> None:
    sql.define("flow", "a")
    done = sql.start("flow", {})
    sql.work("flow")
    live, unknown = sql.start("flow", {}), uuid.uuid4()
    ids = [unknown, live.run_id, done.run_id, live.run_id]
    assert cancel(sql, *ids) == ["not_found", "cancelled", "ended", "cancelled"]
    assert cancel(sql, *ids) == ["not_found", "ended", "ended", "ended"]
    assert sql.run(done.run_id).status == "completed"
    assert details(sql, done.run_id) is None
    assert cancel(sql) == []


def test_an_empty_reason_is_none_and_meta_stays(sql: Sql) -> None:
    sql.define("flow", "a")
    run = start(sql, "flow", {}, meta='{"user": 1}')
    cancel(sql, run.run_id, reason="")
    noted = details(sql, run.run_id)
    assert (noted.meta, noted.cancel_reason) == ({"user": 1}, None)
    assert noted.cancelled_at is not None


def test_the_details_go_with_the_run(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    cancel(sql, run.run_id)
    sql.rows("select pgflow.delete_flow_and_data('flow')")
    assert details(sql, run.run_id) is None
