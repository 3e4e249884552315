"""``resume_runs``: a failed run goes on in place."""

from __future__ import annotations

import uuid

from tests.fixtures.sql import Sql, completed
from tests.integration.control.conftest import cancel, details, resume, start


def test_finished_tasks_are_kept_and_failed_ones_begin_anew(sql: Sql) -> None:
    sql.define("flow", "numbers", "many[] < numbers", "total < many", max_attempts=1)
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), [1, 2, 3])
    one, two, three = sql.claim("flow")
    sql.complete(one, "one")
    sql.fail(two)
    assert sql.run(run.run_id).status == "failed"
    assert resume(sql, run.run_id) == ["resumed"]
    assert sql.run(run.run_id).failed_at is None
    assert sql.task_statuses(run.run_id, "many") == ["completed", "queued", "queued"]
    assert sql.step(run.run_id, "many").remaining_tasks == 2
    assert sql.complete(three, "late").status == "queued"
    again = sql.claim("flow")
    assert [(task.task_index, task.input) for task in again] == [(1, 2), (2, 3)]
    for task in again:
        sql.complete(task, task.input)
    sql.work("flow", total=lambda value: value["many"])
    assert sql.run(run.run_id).output == {"total": ["one", 2, 3]}


def test_a_resumed_task_has_fresh_attempts_and_keeps_its_history(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=2, base_delay=0)
    run = sql.start("flow", {})
    for _ in range(2):
        sql.fail(sql.claim_one("flow"))
    assert resume(sql, run.run_id) == ["resumed"]
    sql.fail(sql.claim_one("flow"), "a third time")
    assert sql.task(run.run_id, "a").status == "queued"
    sql.fail(sql.claim_one("flow"))
    assert sql.run(run.run_id).status == "failed"
    attempts = sql.rows(
        "select attempt, error_message from django_pgflow.failed_attempts where run_id = %(id)s order by 1",
        id=run.run_id,
    )
    assert [tuple(row) for row in attempts] == [(1, "boom"), (2, "boom"), (3, "a third time"), (4, "boom")]


def test_a_cancelled_run_goes_on_and_the_cancellation_is_forgotten(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", "c")
    run = sql.start("flow", {})
    cancel(sql, run.run_id, reason="by mistake")
    assert resume(sql, run.run_id) == ["resumed"]
    assert details(sql, run.run_id) is None
    assert sql.step_statuses(run.run_id) == {"a": "started", "b": "created", "c": "started"}
    assert sql.work("flow") == 3
    assert sql.run(run.run_id).status == "completed"


def test_other_details_outlive_the_cancellation(sql: Sql) -> None:
    sql.define("flow", "a")
    run = start(sql, "flow", {}, meta='{"user": 1}')
    cancel(sql, run.run_id, reason="by mistake")
    resume(sql, run.run_id)
    noted = details(sql, run.run_id)
    assert (noted.meta, noted.cancelled_at, noted.cancel_reason) == ({"user": 1}, None, None)


def test_a_report_of_before_the_cancellation_does_not_count_after_the_resumption(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    (old,) = sql.exchange(["flow"])
    cancel(sql, run.run_id)
    resume(sql, run.run_id)
    (refused,) = sql.exchange(["flow"], completed(old, "old"), capacity=0)
    assert refused.kind == "refused"
    (new,) = sql.exchange(["flow"])
    assert new.attempt == old.attempt + 1
    (refused,) = sql.exchange(["flow"], completed(old, "old"))
    assert refused.kind == "refused"
    assert sql.exchange(["flow"], completed(new, "new")) == []
    assert sql.run(run.run_id).output == {"a": "new"}


def test_a_run_that_failed_by_a_condition_is_refused(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "a", required_input_pattern='{"ok": true}', when_unmet="fail")
    run = sql.start("flow", {"ok": False})
    assert run.status == "failed"
    assert resume(sql, run.run_id) == ["condition"]
    assert sql.run(run.run_id) == run


def test_each_run_gets_its_outcome(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=1)
    dead = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"))
    live, unknown = sql.start("flow", {}), uuid.uuid4()
    assert resume(sql, live.run_id, dead.run_id, unknown) == ["not_failed", "resumed", "not_found"]
    assert resume(sql, dead.run_id) == ["not_failed"]
    assert resume(sql) == []


def test_a_step_that_was_skipped_before_stays_skipped(sql: Sql) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "extra", when_exhausted="skip")
    sql.add_step("flow", "a")
    run = sql.start("flow", {})
    a, extra = sql.claim("flow")
    sql.fail(extra)
    sql.fail(a)
    resume(sql, run.run_id)
    assert sql.step_statuses(run.run_id) == {"extra": "skipped", "a": "started"}
    assert sql.task_statuses(run.run_id, "extra") == ["failed"]
    sql.work("flow")
    assert sql.run(run.run_id).status == "completed"
