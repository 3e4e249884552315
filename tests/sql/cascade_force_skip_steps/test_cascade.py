"""``_cascade_force_skip_steps``: skips a step of a run with all that depends on it."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

from tests.fixtures.platform import Realtime
from tests.fixtures.sql import Sql


def skip(sql: Sql, run_id: UUID, step_slug: str, reason: str = "by hand") -> int:
    """Skip a step with its dependents; return how many."""
    ((count,),) = sql.call("pgflow._cascade_force_skip_steps", run_id=run_id, step_slug=step_slug, skip_reason=reason)
    return int(count)


def test_a_single_independent_step_is_skipped_and_counted(sql: Sql) -> None:
    sql.define("flow", "a", "b", "c")
    run = sql.start("flow", {})
    assert skip(sql, run.run_id, "b") == 1
    assert sql.step_statuses(run.run_id) == {"a": "started", "b": "skipped", "c": "started"}
    assert sql.run(run.run_id).remaining_steps == 2


def test_a_direct_dependent_is_skipped_too(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    realtime.forget()
    assert skip(sql, run.run_id, "a") == 2
    steps = sql.steps(run.run_id)
    assert all(step.skipped_at is not None and step.remaining_tasks is None for step in steps.values())
    assert (steps["a"].skip_reason, steps["b"].skip_reason) == ("by hand", "dependency_skipped")
    assert sql.run(run.run_id).remaining_steps == 0
    assert realtime.names() == ["step:a:skipped", "step:b:skipped"]


def test_it_neither_completes_the_run_nor_starts_anything(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    skip(sql, run.run_id, "a")
    assert sql.run(run.run_id).status == "started"
    sql.call("pgflow.maybe_complete_run", run_id=run.run_id)
    assert (sql.run(run.run_id).status, sql.run(run.run_id).output) == ("completed", None)


def test_live_messages_of_a_skipped_map_leave_the_queue(sql: Sql) -> None:
    sql.define("flow", "each[]", "other")
    run = sql.start("flow", [1, 2, 3])
    claimed = sql.claim("flow", 2)
    assert {task.step_slug for task in claimed} == {"each"}
    skip(sql, run.run_id, "each")
    assert [message.message["step_slug"] for message in sql.queued_messages("flow")] == ["other"]
    assert len(sql.archived_messages("flow")) == 3
    assert sql.task_statuses(run.run_id, "each") == ["skipped", "skipped", "skipped"]


def test_messages_of_a_step_that_was_skipped_before_are_left_alone(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    skip(sql, run.run_id, "b")
    (message_id,) = sql.row("select * from pgmq.send('flow'::text, '{}'::jsonb)")
    sql.rows(
        "insert into pgflow.step_tasks (flow_slug, run_id, step_slug, message_id) "
        "values ('flow', %(run_id)s, 'b', %(message_id)s)",
        run_id=run.run_id,
        message_id=message_id,
    )
    assert skip(sql, run.run_id, "a") == 1
    assert [message.msg_id for message in sql.queued_messages("flow")] == [message_id]
    assert sql.task_statuses(run.run_id, "b") == ["queued"]


def test_a_dependent_with_a_running_parent_is_skipped_and_the_parent_goes_on(sql: Sql) -> None:
    sql.define("flow", "a", "running", "join < a running")
    run = sql.start("flow", {})
    assert skip(sql, run.run_id, "a") == 2
    assert sql.step_statuses(run.run_id) == {"a": "skipped", "running": "started", "join": "skipped"}
    assert sql.run(run.run_id).remaining_steps == 1
    assert sql.step(run.run_id, "join").remaining_deps == 2


def test_steps_that_have_ended_are_left_alone(sql: Sql) -> None:
    sql.define("flow", "a", "b < a", "c < b")
    run = sql.start("flow", {})
    sql.complete(sql.claim_one("flow"), 1)
    # b is started, and skipped though a is completed.
    assert skip(sql, run.run_id, "a") == 2
    assert sql.step_statuses(run.run_id) == {"a": "completed", "b": "skipped", "c": "skipped"}
    assert {step.skip_reason for step in sql.steps(run.run_id).values()} == {None, "dependency_skipped"}


def test_a_second_call_changes_nothing(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "a", "b < a", "other")
    run = sql.start("flow", {})
    assert skip(sql, run.run_id, "a", "first") == 2
    before = sql.run(run.run_id), sql.steps(run.run_id), realtime.names()
    assert skip(sql, run.run_id, "a", "second") == 0
    assert (sql.run(run.run_id), sql.steps(run.run_id), realtime.names()) == before


def test_events_come_in_the_order_of_dependency_and_not_of_the_slugs(sql: Sql, realtime: Realtime) -> None:
    sql.define("flow", "z", "m < z", "y < m", "a < y", "b < z a")
    run = sql.start("flow", {})
    realtime.forget()
    skip(sql, run.run_id, "z")
    assert realtime.names() == [f"step:{slug}:skipped" for slug in ("z", "m", "y", "a", "b")]


def test_densely_layered_steps_are_each_visited_once(sql: Sql) -> None:
    # By paths there would be two to the fortieth.
    layers = 40
    sql.define("flow", "top")
    above = ["top"]
    for n in range(layers):
        here = [f"l{n}", f"r{n}"]
        for slug in here:
            sql.add_step("flow", slug, above)
        above = here
    run = sql.start("flow", {})
    sql.rows("set local statement_timeout = '5s'")
    assert skip(sql, run.run_id, "top") == 2 * layers + 1


def test_an_unknown_step_skips_nothing(sql: Sql) -> None:
    sql.define("flow", "a")
    assert skip(sql, sql.start("flow", {}).run_id, "nobody") == 0


def test_an_unknown_run_is_refused(sql: Sql) -> None:
    run_id = uuid4()
    with pytest.raises(psycopg.errors.RaiseException, match=f"^Run not found: {run_id}"):
        skip(sql, run_id, "a")


def test_other_runs_of_the_flow_are_left_alone(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run, other = sql.start("flow", {}), sql.start("flow", {})
    skip(sql, run.run_id, "a")
    assert sql.step_statuses(other.run_id) == {"a": "started", "b": "created"}
    assert sql.run(other.run_id).remaining_steps == 2
