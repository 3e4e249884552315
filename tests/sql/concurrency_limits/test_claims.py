"""Of a limited step, all workers together get no more tasks than the limit says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from django_pgflow.db.core.current import Core
from django_pgflow.db.records import Rooms
from tests.fixtures.sql import Sql, completed, failed, released, report
from tests.sql.concurrency_limits.conftest import indexes, limit, noted, wake


@pytest.fixture
def flow(sql: Sql) -> Sql:
    """A map of ten tasks, two at a time."""
    sql.define("flow", "each[]", max_attempts=3, base_delay=100)
    limit(sql, 2)
    sql.start("flow", list(range(10)))
    return sql


def test_no_more_are_claimed_by_one_worker_or_by_several(flow: Sql) -> None:
    assert indexes(flow.exchange(["flow"], capacity=10)) == [0, 1]
    assert indexes(flow.exchange(["flow"], capacity=10, worker_id=flow.worker())) == []
    assert noted(flow) == {"admitted": 2, "waiting": 8}


def test_a_capacity_below_the_limit_is_kept_to(flow: Sql) -> None:
    assert indexes(flow.exchange(["flow"], capacity=1)) == [0]
    assert indexes(flow.exchange(["flow"], capacity=1)) == [1]
    assert indexes(flow.exchange(["flow"], capacity=1)) == []


def test_the_exchange_that_reports_gets_the_places_that_it_frees(flow: Sql) -> None:
    tasks = flow.exchange(["flow"])
    done = []
    while tasks:
        assert len(tasks) <= 2
        done += indexes(tasks)
        tasks = flow.exchange(["flow"], *map(completed, tasks))
    assert done == list(range(10))
    assert noted(flow) == {}
    assert flow.message_counts("flow") == (0, 10)


def test_waiting_messages_are_hidden_and_woken_one_for_each_free_place(flow: Sql) -> None:
    one, _ = flow.exchange(["flow"])
    assert [message.visible_in > 1000 for message in flow.queued_messages("flow")] == [False] * 2 + [True] * 8
    flow.exchange(["flow"], completed(one), capacity=0)
    assert [message.visible_in <= 0 for message in flow.queued_messages("flow")] == [False, True] + [False] * 7
    assert indexes(flow.exchange(["flow"])) == [2]


@pytest.mark.parametrize("outcome", ["failed", "released", "exhausted", "skipped"])
def test_every_report_frees_its_place(flow: Sql, outcome: str) -> None:
    one, other = flow.exchange(["flow"])
    claimed = flow.exchange(["flow"], report(one, outcome, error_message="boom"))
    if outcome in ("failed", "exhausted", "released"):
        # A task that is given back may be claimed again at once; it is the lowest.
        expected = {"failed": [2], "released": [0], "exhausted": []}[outcome]
        assert indexes(claimed) == expected
    wake(flow)
    assert flow.task_statuses(other.run_id, "each").count("started") == {"exhausted": 0, "skipped": 0}.get(outcome, 2)


def test_a_retry_waits_for_its_delay_and_then_for_a_place(flow: Sql) -> None:
    one, two = flow.exchange(["flow"])
    (three,) = flow.exchange(["flow"], failed(one))
    assert 100 < flow.visible_in(one) <= 200
    wake(flow)
    assert flow.visible_in(one) > 100
    flow.rows("update pgmq.q_flow set vt = clock_timestamp() where msg_id = %(id)s", id=one.msg_id)
    assert flow.exchange(["flow"]) == []
    assert [task.task_index for task in flow.exchange(["flow"], completed(two))] == [0]
    assert three.task_index == 2


def test_a_report_that_does_not_count_frees_nothing(flow: Sql) -> None:
    one, _ = flow.exchange(["flow"])
    stale = report(one, "completed", attempt=7, output="1")
    assert [record.kind for record in flow.exchange(["flow"], stale)] == ["refused"]
    assert flow.exchange(["flow"], worker_id=flow.worker()) == []


def test_other_steps_and_flows_are_not_held_up(sql: Sql) -> None:
    sql.define("flow", "each[]", "other[]")
    sql.define("free", "each[]")
    limit(sql, 1)
    sql.start("flow", list(range(300)))
    sql.start("free", list(range(5)))
    claimed = sql.exchange(["flow", "free"], capacity=40)
    assert Counter((task.flow_slug, task.step_slug) for task in claimed) == {
        ("flow", "each"): 1,
        ("flow", "other"): 34,
        ("free", "each"): 5,
    }


def test_limits_and_the_rooms_of_a_worker_hold_together(sql: Sql) -> None:
    sql.define("flow", "each[]", "other[]")
    limit(sql, 3)
    sql.start("flow", list(range(20)))

    def claim(**steps: int) -> dict[str, int]:
        rooms = Rooms(steps={"flow": steps})
        return Counter(task.step_slug for task in sql.ask(Core().exchange(sql.worker_id, ["flow"], 10, rooms=rooms)))

    assert claim(each=2, other=5) == {"each": 2, "other": 5}
    assert claim(each=2, other=0) == {"each": 1}
    assert claim(each=0, other=1) == {"other": 1}


def test_each_value_of_the_key_has_places_of_its_own(sql: Sql) -> None:
    sql.define("flow", "each")
    limit(sql, 2, "customer", "id")
    inputs: list[Any] = [{"customer": {"id": customer}} for customer in (1, 1, 1, "1", 2, 1, None)]
    inputs += [{"customer": {}}, {}, [1], None]
    for value in inputs:
        sql.start("flow", value)
    claimed = sql.exchange(["flow"], capacity=100)
    found = [inputs.index(task.input["run"]) for task in claimed]
    # JSON null is a value; what is missing, for whatever reason, is another one.
    assert sorted(found) == [0, 0, 3, 4, 6, 7, 8]
    (done,) = [task for task in claimed if task.input["run"] == {}]
    (following,) = sql.exchange(["flow"], completed(done))
    assert following.input["run"] == [1]


def test_a_long_key_is_a_key(sql: Sql) -> None:
    sql.define("flow", "each")
    limit(sql, 1, "text")
    for text in ("a" * 100_000, "a" * 100_000, "a" * 100_001):
        sql.start("flow", {"text": text})
    assert [len(task.input["run"]["text"]) for task in sql.exchange(["flow"])] == [100_000, 100_001]


def test_a_waiting_task_whose_run_is_cancelled_takes_no_place(sql: Sql) -> None:
    sql.define("flow", "each")
    limit(sql, 1)
    runs = [sql.start("flow", {"n": n}) for n in range(4)]
    (task,) = sql.exchange(["flow"])
    assert noted(sql) == {"admitted": 1, "waiting": 3}
    sql.ask(Core().cancel_runs([runs[1].run_id, runs[2].run_id]))
    (following,) = sql.exchange(["flow"], completed(task))
    assert following.run_id == runs[3].run_id
    wake(sql)
    assert noted(sql) == {"admitted": 1}


def test_a_place_is_free_when_the_run_is_cancelled(sql: Sql) -> None:
    sql.define("flow", "each")
    limit(sql, 1)
    runs = [sql.start("flow", {"n": n}) for n in range(2)]
    sql.exchange(["flow"])
    assert sql.exchange(["flow"]) == []
    sql.ask(Core().cancel_runs([runs[0].run_id]))
    wake(sql)
    (following,) = sql.exchange(["flow"])
    assert following.run_id == runs[1].run_id


def test_a_place_is_free_when_a_foreign_client_completes_the_task(flow: Sql) -> None:
    one, _ = flow.exchange(["flow"])
    flow.complete(one)
    wake(flow)
    assert indexes(flow.exchange(["flow"])) == [2]


def test_places_of_a_lost_worker_are_free_once_its_tasks_are_given_back(flow: Sql) -> None:
    lost = flow.worker()
    held = flow.exchange(["flow"], worker_id=lost)
    assert flow.exchange(["flow"]) == []
    for task in held:
        flow.age(task, 1000)
    assert flow.requeue_stalled_tasks() == 2
    wake(flow)
    again = flow.exchange(["flow"])
    assert indexes(again) == [0, 1]
    assert [task.attempt for task in again] == [2, 2]
    wake(flow)
    assert flow.exchange(["flow"]) == []


def test_tasks_that_are_retried_by_hand_take_places_like_others(sql: Sql) -> None:
    sql.define("flow", "each", max_attempts=1)
    limit(sql, 1)
    runs = [sql.start("flow", {"n": n}) for n in range(3)]
    (task,) = sql.exchange(["flow"])
    (other,) = sql.exchange(["flow"], failed(task))
    assert sql.retry((runs[0].run_id, "each", 0)) == ["queued"]
    assert sql.exchange(["flow"]) == []
    (third,) = sql.exchange(["flow"], completed(other))
    (last,) = sql.exchange(["flow"], completed(third))
    assert [third.run_id, last.run_id] == [runs[2].run_id, runs[0].run_id]


def test_a_run_that_is_resumed_takes_places_anew(sql: Sql) -> None:
    sql.define("flow", "each[]")
    limit(sql, 2)
    run = sql.start("flow", list(range(5)))
    sql.exchange(["flow"])
    sql.ask(Core().cancel_runs([run.run_id]))
    sql.ask(Core().resume_runs([run.run_id]))
    tasks = sql.exchange(["flow"])
    assert len(tasks) == 2
    done = 0
    while tasks:
        done += len(tasks)
        wake(sql)
        tasks = sql.exchange(["flow"], *map(completed, tasks))
        assert len(tasks) <= 2
    assert done == 5
    assert sql.run(run.run_id).status == "completed"


def test_released_tasks_do_not_keep_their_places(flow: Sql) -> None:
    tasks = flow.exchange(["flow"])
    assert flow.exchange(["flow"], *map(released, tasks), capacity=0) == []
    assert noted(flow) == {"waiting": 8}
    assert indexes(flow.exchange(["flow"])) == [0, 1]


def test_nothing_is_left_when_runs_are_pruned_or_the_flow_is_deleted(flow: Sql) -> None:
    flow.define("other", "each")
    limit(flow, 1, flow="other")
    run = flow.start("other", {})
    flow.exchange(["other"])
    flow.exchange(["flow"])
    flow.rows(
        "update pgflow.runs set status = 'failed', started_at = now() - interval '9 days', "
        "failed_at = now() - interval '8 days' where run_id = %(id)s",
        id=run.run_id,
    )
    flow.rows("select pgflow.prune_data_older_than(interval '7 days')")
    assert noted(flow) == {"admitted": 2, "waiting": 8}
    flow.rows("select pgflow.delete_flow_and_data('flow')")
    assert noted(flow) == {}
    assert [row.flow_slug for row in flow.rows("select * from django_pgflow.concurrency_limits")] == ["other"]
