"""``fail_task``: late, repeated and unknown reports change nothing and never raise."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.fixtures.sql import Sql


def test_an_unknown_run_step_or_index_gives_no_row(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    sql.claim_one("flow")
    before = sql.run(run.run_id), sql.steps(run.run_id)
    for run_id, step_slug, index in ((uuid4(), "a", 0), (run.run_id, "nowhere", 0), (run.run_id, "a", 7)):
        rows = sql.call("pgflow.fail_task", run_id=run_id, step_slug=step_slug, task_index=index, error_message="lost")
        assert rows == []
    assert (sql.run(run.run_id), sql.steps(run.run_id)) == before


def test_a_queued_task_cannot_fail_and_its_message_is_not_put_off(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1, base_delay=100)
    run = sql.start("flow", {})
    row = sql.fail(sql.task(run.run_id, "a"), "never started")
    assert (row.status, row.error_message, row.attempts_count) == ("queued", None, 0)
    assert sql.run(run.run_id).status == "started"
    assert sql.message_counts("flow") == (1, 0)
    assert sql.visible_in(sql.task(run.run_id, "a")) <= 0


def test_a_second_report_does_not_put_the_retry_off(sql: Sql) -> None:
    sql.define("flow", "a", base_delay=100)
    sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.fail(task, "first")
    sql.hurry("flow")
    assert sql.fail(task, "again").error_message == "first"
    assert sql.visible_in(task) <= 0


def test_a_failed_task_keeps_its_first_error(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.fail(task, "first")
    before = sql.run(run.run_id), sql.steps(run.run_id)
    assert sql.fail(task, "second").error_message == "first"
    assert (sql.run(run.run_id), sql.steps(run.run_id)) == before


def test_a_completed_task_stays_completed(sql: Sql) -> None:
    sql.define("flow", "each[]", max_attempts=1)
    run = sql.start("flow", [1, 2])
    task, _ = sql.claim("flow")
    sql.complete(task, "done")
    row = sql.fail(task, "late")
    assert (row.status, row.output, row.error_message) == ("completed", "done", None)
    assert sql.run(run.run_id).status == "started"


def test_a_report_after_the_step_has_completed_changes_nothing(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", max_attempts=1)
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.complete(task)
    before = sql.run(run.run_id), sql.steps(run.run_id)
    assert sql.fail(task, "late").status == "completed"
    assert (sql.run(run.run_id), sql.steps(run.run_id)) == before


def test_a_sibling_of_a_dead_run_stays_cancelled(sql: Sql) -> None:
    sql.define("flow", "a", "b", max_attempts=1)
    run = sql.start("flow", {})
    first, second = sql.claim("flow")
    sql.fail(first, "broken")
    before = sql.run(run.run_id), sql.steps(run.run_id)
    row = sql.fail(second, "late")
    assert (row.status, row.failed_at) == ("cancelled", None)
    assert (sql.run(run.run_id), sql.steps(run.run_id)) == before


@pytest.mark.parametrize("max_attempts", [1, 5])
def test_a_started_task_in_a_failed_run_fails_without_a_retry(sql: Sql, max_attempts: int) -> None:
    sql.define("flow", "a", max_attempts=max_attempts)
    run = sql.start("flow", {})
    task = sql.claim_one("flow")
    # As another client might leave it: the run has failed, its tasks are open.
    sql.rows("update pgflow.runs set status = 'failed', failed_at = now() where run_id = %(id)s", id=run.run_id)
    row = sql.fail(task, "late")
    assert (row.status, row.error_message) == ("failed", "late")
    assert row.failed_at is not None
    assert sql.message_counts("flow") == (0, 1)


def test_a_report_after_the_step_was_skipped_archives_the_message_alone(sql: Sql) -> None:
    sql.define("flow", "a", "b", max_attempts=1)
    run = sql.start("flow", {})
    task, _ = sql.claim("flow")
    sql.rows(
        "update pgflow.step_states set status = 'skipped', skip_reason = 'x', remaining_tasks = null "
        "where run_id = %(id)s and step_slug = 'a'",
        id=run.run_id,
    )
    before = sql.run(run.run_id), sql.steps(run.run_id)
    assert sql.fail(task, "late").error_message is None
    assert (sql.run(run.run_id), sql.steps(run.run_id)) == before
    assert [message.msg_id for message in sql.archived_messages("flow")] == [task.msg_id]
