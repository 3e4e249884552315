"""``exchange``: which tasks a worker gets, and what it is told of them."""

from __future__ import annotations

from collections import Counter
from uuid import uuid4

import psycopg
import pytest

from django_pgflow.db.core.current import Core
from tests.fixtures.sql import DEADLINE, Sessions, Sql, completed, failed


def test_a_task_comes_with_all_that_its_execution_needs(sql: Sql) -> None:
    sql.define("flow", "a", max_attempts=4, timeout=77)
    run = sql.start("flow", {"url": "x"})
    (task,) = sql.exchange(["flow"])
    assert (task.kind, task.flow_slug, task.run_id, task.step_slug) == ("claimed", "flow", run.run_id, "a")
    assert (task.task_index, task.attempt, task.max_attempts, task.timeout) == (0, 1, 4, 77)
    assert task.input == {"run": {"url": "x"}}
    assert task.msg_id == sql.task(run.run_id, "a").message_id


def test_options_of_the_step_go_before_those_of_the_flow(sql: Sql) -> None:
    sql.define("flow", max_attempts=4, timeout=77)
    sql.add_step("flow", "a", max_attempts=1, timeout=5)
    sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    assert (task.max_attempts, task.timeout) == (1, 5)


def test_a_claimed_task_is_started_as_by_start_tasks(sql: Sql) -> None:
    sql.define("flow", "a", timeout=100)
    run = sql.start("flow", {})
    (claimed,) = sql.exchange(["flow"])
    task = sql.task(run.run_id, "a")
    assert (task.status, task.attempts_count, task.last_worker_id) == ("started", 1, sql.worker_id)
    assert task.started_at is not None
    assert sql.visible_in(task) == pytest.approx(102, abs=3)
    assert sql.start_tasks("flow", [claimed.msg_id], sql.worker()) == []


def test_a_task_is_claimed_once(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.start("flow", {})
    assert len(sql.exchange(["flow"])) == 1
    sql.hurry("flow")
    assert sql.exchange(["flow"], worker_id=sql.worker()) == []


def test_no_more_than_the_capacity_is_claimed(sql: Sql) -> None:
    sql.define("flow", "each[]")
    sql.start("flow", list(range(10)))
    assert [task.task_index for task in sql.exchange(["flow"], capacity=4)] == [0, 1, 2, 3]
    assert [task.task_index for task in sql.exchange(["flow"], capacity=4)] == [4, 5, 6, 7]
    assert [task.task_index for task in sql.exchange(["flow"], capacity=4)] == [8, 9]


def test_without_capacity_nothing_is_claimed(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    assert sql.exchange(["flow"], capacity=0) == []
    assert sql.task_statuses(run.run_id, "a") == ["queued"]


def test_only_the_flows_that_were_named_are_claimed_from(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.define("other", "a")
    sql.start("flow", {})
    sql.start("other", {})
    assert [task.flow_slug for task in sql.exchange(["other"])] == ["other"]
    assert sql.exchange([]) == []


def test_a_message_that_is_hidden_is_not_claimed(sql: Sql) -> None:
    sql.define("flow")
    sql.add_step("flow", "later", start_delay=100)
    sql.start("flow", {})
    assert sql.exchange(["flow"]) == []
    sql.hurry("flow")
    assert len(sql.exchange(["flow"])) == 1


def test_map_tasks_get_their_element_alone(sql: Sql) -> None:
    sql.define("flow", "each[]")
    elements = ["text", None, {"a": 1}, [1], 2.5]
    sql.start("flow", elements)
    assert [task.input for task in sql.exchange(["flow"])] == elements


def test_a_dependent_step_gets_the_outputs_of_its_dependencies(sql: Sql) -> None:
    sql.define("flow", "each[]", "after < each")
    sql.start("flow", [1, 2])
    tasks = sql.exchange(["flow"])
    (after,) = sql.exchange(["flow"], *(completed(task, task.input * 10) for task in tasks))
    assert after.input == {"run": [1, 2], "each": [10, 20]}


def test_the_flow_input_is_under_run_whatever_start_tasks_is_set_to(sql: Sql) -> None:
    sql.rows("set local pgflow.task_input = 'deps'")
    sql.define("flow", "a")
    sql.start("flow", {"x": 1})
    assert [task.input for task in sql.exchange(["flow"])] == [{"run": {"x": 1}}]


def test_capacity_is_shared_fairly_among_flows(sql: Sql) -> None:
    for slug in ("first", "second", "third"):
        sql.define(slug, "each[]")
        sql.start(slug, list(range(50)))
    claimed = sql.exchange(["first", "second", "third"], capacity=12)
    assert Counter(task.flow_slug for task in claimed) == {"first": 4, "second": 4, "third": 4}


def test_capacity_that_one_flow_does_not_use_goes_to_the_others(sql: Sql) -> None:
    for slug, elements in (("full", 50), ("small", 1), ("empty", 0)):
        sql.define(slug, "each[]")
        sql.start(slug, list(range(elements)))
    claimed = sql.exchange(["full", "small", "empty"], capacity=10)
    assert Counter(task.flow_slug for task in claimed) == {"full": 9, "small": 1}


def test_a_capacity_of_one_starves_no_flow(sql: Sql) -> None:
    for slug in ("first", "second"):
        sql.define(slug, "each[]")
        sql.start(slug, list(range(50)))
    claimed = [sql.exchange(["first", "second"], capacity=1)[0].flow_slug for _ in range(20)]
    assert min(Counter(claimed)[slug] for slug in ("first", "second")) >= 1


def test_messages_without_a_task_do_not_stand_in_the_way(sql: Sql) -> None:
    sql.define("flow", "each[]")
    sql.start("flow", [1, 2, 3])
    # Messages whose tasks are started already come up again when their visibility ends.
    sql.exchange(["flow"], capacity=2)
    sql.hurry("flow")
    claimed = [task.task_index for _ in range(3) for task in sql.exchange(["flow"], capacity=1)]
    assert claimed == [2]


def test_nothing_of_a_failed_run_is_claimed(sql: Sql) -> None:
    sql.define("flow", "each[]", max_attempts=1)
    sql.start("flow", [1, 2, 3])
    (task,) = sql.exchange(["flow"], capacity=1)
    assert sql.exchange(["flow"], failed(task)) == []


def test_a_flow_that_is_gone_does_not_stand_in_the_way_of_the_others(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    run = sql.start("flow", {})
    (task,) = sql.exchange(["flow"])
    (following,) = sql.exchange(["gone", "flow"], completed(task))
    assert following.step_slug == "b"
    assert sql.step(run.run_id, "a").status == "completed"


def test_a_flow_that_is_named_twice_is_served_once(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.start("flow", {})
    assert len(sql.exchange(["flow", "flow"])) == 1


def test_an_unknown_worker_is_refused(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="step_tasks_last_worker_id_fkey"), sql.transaction():
        sql.exchange(["flow"], worker_id=uuid4())
    assert sql.task_statuses(run.run_id, "a") == ["queued"]


def test_two_workers_share_a_queue_without_waiting(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "each[]")
    first.start("race", list(range(6)))
    workers = first.worker(), second.worker()
    with first.transaction():
        one = first.exchange(["race"], capacity=4, worker_id=workers[0])
        two = sessions.begin(second.exchange, ["race"], capacity=4, worker_id=workers[1])
        assert not sessions.wait_until_blocked(second, two)
    indexes = [task.task_index for task in one] + [task.task_index for task in two.result(timeout=DEADLINE)]
    assert sorted(indexes) == [0, 1, 2, 3, 4, 5]


def test_many_workers_take_each_task_once(sessions: Sessions) -> None:
    opener = sessions.open()
    opener.define("race", "each[]", "total < each")
    runs = [opener.start("race", list(range(20))) for _ in range(3)]

    def worker() -> int:
        session = sessions.open()
        done, reports = 0, []
        while tasks := session.exchange(["race"], *reports, capacity=5):
            assert {task.kind for task in tasks} == {"claimed"}
            reports = [completed(task, 1 if task.step_slug == "each" else sum(task.input["each"])) for task in tasks]
            done += len(tasks)
        return done

    workers = [sessions.begin(worker) for _ in range(4)]
    done = sum(future.result(timeout=DEADLINE) for future in workers)
    # A worker that found nothing stops, so the last may have had nobody to wait for what it released.
    done += worker()
    assert done == 3 * 21
    assert [opener.run(run.run_id).output for run in runs] == [{"total": 20}] * 3


def test_claims_and_reports_may_be_made_in_a_transaction_older_than_the_run(sessions: Sessions) -> None:
    worker, starter = sessions.open(), sessions.open()
    starter.define("race", "list", "each[] < list", "total < each")
    worker_id = worker.worker()
    with worker.transaction():
        worker.rows("select now()")
        run = starter.start("race", {})
        reports = []
        while tasks := worker.exchange(["race"], *reports, worker_id=worker_id):
            reports = [completed(task, [1, 2] if task.step_slug == "list" else task.input) for task in tasks]
    ended = starter.run(run.run_id)
    assert ended.status == "completed"
    assert ended.started_at <= ended.completed_at


@pytest.mark.parametrize("listening", [True, False])
def test_only_a_worker_that_listens_is_noted_as_waiting(sql: Sql, listening: bool) -> None:
    sql.define("flow", "a")
    sql.ask(Core().exchange(sql.worker_id, ["flow"], 1, listening=listening))
    waiting = sql.value("select count(*) from django_pgflow.waiting_workers where worker_id = %(id)s", id=sql.worker_id)
    assert waiting == int(listening)
