"""Events: which are sent, how often and in which order."""

from __future__ import annotations

import pytest

from tests.fixtures.platform import Realtime
from tests.fixtures.sql import Sql, completed, failed

NEVER = {"never": True}


def test_a_start_announces_the_run_and_then_its_roots_by_slug(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "z", "a", "m", "end < z a m")
    sql.start("flow", {})
    assert realtime.names() == ["run:started", "step:a:started", "step:m:started", "step:z:started"]


def test_a_whole_successful_run(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "b < a", "c < b")
    sql.start("flow", {})
    sql.work("flow")
    assert realtime.names() == [
        "run:started",
        "step:a:started",
        "step:a:completed",
        "step:b:started",
        "step:b:completed",
        "step:c:started",
        "step:c:completed",
        "run:completed",
    ]


def test_a_step_that_is_not_the_last_ends_no_run(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "b < a")
    sql.start("flow", {})
    realtime.forget()
    sql.complete(sql.claim_one("flow"))
    assert realtime.names() == ["step:a:completed", "step:b:started"]


def test_an_empty_map_is_completed_and_never_started(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "each[]")
    sql.start("flow", [])
    assert realtime.names() == ["run:started", "step:each:completed", "run:completed"]


def test_an_empty_map_behind_a_step_is_told_after_it(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "z", "m[] < z", "a[] < m", "end < a")
    sql.start("flow", {})
    realtime.forget()
    sql.complete(sql.claim_one("flow"), [])
    assert realtime.names() == ["step:z:completed", "step:m:completed", "step:a:completed", "step:end:started"]


def test_empty_maps_of_one_wave_are_told_in_the_order_of_the_flow(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "z[]", "a[]", "m[] < z")
    sql.start("flow", [])
    assert realtime.names() == [
        "run:started",
        "step:z:completed",
        "step:a:completed",
        "step:m:completed",
        "run:completed",
    ]


def test_a_start_tells_skips_before_empty_maps_before_starts(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "x[]", "y[]")
    sql.add_step("flow", "no", required_input_pattern=NEVER)
    sql.add_step("flow", "end", ["no", "x"])
    sql.start("flow", [])
    assert realtime.names() == [
        "run:started",
        "step:no:skipped",
        "step:x:completed",
        "step:y:completed",
        "step:end:started",
    ]


def test_a_completion_tells_what_it_skips_completes_and_starts_in_this_order(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "each[] < a")
    sql.add_step("flow", "no", ["a"], required_input_pattern=NEVER)
    sql.add_step("flow", "end", ["no"])
    sql.start("flow", {})
    realtime.forget()
    sql.complete(sql.claim_one("flow"), [])
    assert realtime.names() == ["step:a:completed", "step:no:skipped", "step:each:completed", "step:end:started"]


def test_the_last_completion_ends_the_run(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a")
    sql.add_step("flow", "no", ["a"], required_input_pattern=NEVER)
    sql.start("flow", {})
    realtime.forget()
    sql.complete(sql.claim_one("flow"))
    assert realtime.names() == ["step:a:completed", "step:no:skipped", "run:completed"]


def test_a_condition_that_fails_the_run_ends_the_announcements(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "other")
    sql.add_step("flow", "no", ["a"], required_input_pattern=NEVER, when_unmet="fail")
    sql.add_step("flow", "skipped", ["a"], required_input_pattern=NEVER)
    sql.add_step("flow", "fine", ["a"])
    sql.start("flow", {})
    realtime.forget()
    sql.complete(sql.claim("flow", 1)[0])
    assert realtime.names() == ["step:a:completed", "step:no:failed", "run:failed"]


def test_a_last_failure_tells_of_the_step_and_then_of_the_run(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "parallel", "b < a", max_attempts=1)
    sql.start("flow", {})
    realtime.forget()
    sql.fail(sql.claim("flow", 1)[0])
    assert realtime.names() == ["step:a:failed", "run:failed"]


def test_a_type_violation_tells_of_both_and_nothing_after_the_run(sql: Sql, realtime: Realtime) -> None:
    # The contract has these two the other way round; here nothing is told after the end of a run.
    sql.define("flow", "a", "parallel", "each[] < a")
    sql.start("flow", {})
    realtime.forget()
    sql.complete(sql.claim("flow", 1)[0], "text")
    assert realtime.names() == ["step:a:failed", "run:failed"]


def test_an_exhausted_step_in_mode_skip_goes_on_as_after_a_completion(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "a", when_exhausted="skip")
    sql.add_step("flow", "no", ["a"], required_input_pattern={"a": {}})
    sql.add_step("flow", "each", ["a"], step_type="map")
    sql.add_step("flow", "b", ["a"])
    sql.start("flow", {})
    realtime.forget()
    sql.fail(sql.claim_one("flow"))
    assert realtime.names() == ["step:a:skipped", "step:no:skipped", "step:each:completed", "step:b:started"]


def test_an_exhausted_step_in_mode_skip_cascade_drags_along_in_order(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", max_attempts=1)
    sql.add_step("flow", "z", when_exhausted="skip-cascade")
    sql.add_step("flow", "m", ["z"])
    sql.add_step("flow", "a", ["m"])
    sql.start("flow", {})
    realtime.forget()
    sql.fail(sql.claim_one("flow"))
    assert realtime.names() == ["step:z:skipped", "step:m:skipped", "step:a:skipped", "run:completed"]


def test_a_cascade_by_condition_tells_parents_before_dependents(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "other")
    sql.add_step("flow", "z", required_input_pattern=NEVER, when_unmet="skip-cascade")
    sql.add_step("flow", "m", ["z"])
    sql.add_step("flow", "a", ["m"])
    sql.start("flow", {})
    assert realtime.names() == [
        "run:started",
        "step:z:skipped",
        "step:m:skipped",
        "step:a:skipped",
        "step:other:started",
    ]


def test_a_retry_tells_nothing(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", max_attempts=2)
    sql.start("flow", {})
    task = sql.claim_one("flow")
    realtime.forget()
    sql.fail(task)
    assert realtime.names() == []


def test_the_start_and_the_requeue_of_a_task_tell_nothing(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a")
    sql.start("flow", {})
    realtime.forget()
    sql.age(sql.claim_one("flow"), 1000)
    assert sql.requeue_stalled_tasks() == 1
    assert realtime.names() == []


def test_a_task_of_a_map_that_is_not_the_last_tells_nothing(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "each[]")
    sql.start("flow", [1, 2])
    realtime.forget()
    sql.complete(sql.claim("flow")[0])
    assert realtime.names() == []


@pytest.mark.parametrize("late", ["complete", "fail"])
def test_a_late_or_repeated_report_tells_nothing(sql: Sql, realtime: Realtime, late: str) -> None:
    sql.define("flow", "a", "b < a")
    sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.complete(task)
    realtime.forget()
    getattr(sql, late)(task)
    assert realtime.names() == []


@pytest.mark.parametrize("late", ["complete", "fail"])
def test_nothing_is_told_after_the_failure_of_a_run(sql: Sql, realtime: Realtime, late: str) -> None:
    sql.define("flow", "a", "b", max_attempts=1)
    sql.start("flow", {})
    first, second = sql.claim("flow")
    sql.fail(first)
    realtime.forget()
    getattr(sql, late)(second)
    sql.call("pgflow.start_ready_steps", run_id=second.run_id)
    sql.call("pgflow.maybe_complete_run", run_id=second.run_id)
    sql.call("pgflow.cascade_complete_taskless_steps", run_id=second.run_id)
    assert realtime.names() == []


def test_completing_a_run_again_tells_nothing(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.work("flow")
    realtime.forget()
    sql.call("pgflow.maybe_complete_run", run_id=run.run_id)
    assert realtime.names() == []


def test_two_last_failures_in_one_call_fail_the_run_once(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "b", max_attempts=1)
    sql.start("flow", {})
    first, second = sql.exchange(["flow"])
    realtime.forget()
    sql.exchange(["flow"], failed(first, "one"), failed(second, "two"))
    names = realtime.names()
    assert (names.count("run:failed"), names[-1]) == (1, "run:failed")


def test_a_set_of_reports_tells_the_same_as_one_by_one(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "b", "join < a b")
    sql.start("flow", {})
    first, second = sql.exchange(["flow"])
    realtime.forget()
    sql.exchange(["flow"], completed(first, 1), completed(second, 2))
    names = realtime.names()
    assert (set(names[:2]), names[2:]) == ({"step:a:completed", "step:b:completed"}, ["step:join:started"])


def test_each_run_of_a_bulk_start_has_its_own_order(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "b < a")
    runs = sql.rows("select * from django_pgflow.start_flows('flow', array['1', '2']::jsonb[])")
    for run in runs:
        assert realtime.names(run.run_id) == ["run:started", "step:a:started"]


def test_a_step_is_announced_as_started_and_ended_at_most_once(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "each[] < a", "end < each", "empty[] < a", max_attempts=2, base_delay=0)
    sql.start("flow", {})
    sql.fail(sql.claim_one("flow"))
    sql.work("flow", a=[1, 2])
    names = realtime.names()
    assert len(names) == len(set(names))


def test_a_call_that_is_rolled_back_tells_nothing(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a")
    with sql.transaction() as transaction:
        sql.start("flow", {})
        transaction.force_rollback = True
    assert realtime.names() == []


def test_without_a_receiver_runs_run_all_the_same(sql: Sql) -> None:
    assert sql.value("select to_regnamespace('realtime')") is None
    sql.define("flow", "a", "each[] < a")
    run = sql.start("flow", {})
    sql.work("flow", a=[1, 2])
    assert sql.run(run.run_id).status == "completed"


def test_a_schema_realtime_without_send_is_no_hindrance(sql: Sql) -> None:
    sql.rows("create schema realtime")
    sql.define("flow", "a")
    sql.start("flow", {})
    assert sql.work("flow") == 1
