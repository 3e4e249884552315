"""Claims and reports on cores that know neither workers nor attempts: a late or foreign report never counts."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from typing import Any

import pytest

from django_pgflow.db.records import ExchangeRecord, TaskReport
from tests.conformance import conftest
from tests.conformance.conftest import Foreign


def claim(foreign: Foreign, worker_id: uuid.UUID, flow_slug: str = "flow") -> list[ExchangeRecord]:
    """Claim all that is due, as the worker does."""
    core = foreign.core
    msg_ids = [msg_id for msg_id, _ in foreign.ask(core.read_messages(flow_slug, 100))]
    started = foreign.ask(core.start_tasks(flow_slug, msg_ids, worker_id))
    held = {task.msg_id: task for task in foreign.ask(core.hold_tasks(flow_slug, msg_ids, worker_id))}
    return [held[task.msg_id].record(task) for task in started if task.msg_id in held]


def report(task: ExchangeRecord, outcome: str, **changes: Any) -> TaskReport:
    """Report on a task."""
    return TaskReport(
        run_id=task.run_id,
        step_slug=task.step_slug,
        task_index=task.task_index,
        attempt=task.attempt,
        outcome=outcome,
        **changes,
    )


@pytest.fixture
def flow(foreign: Foreign) -> str:
    foreign.define("flow", "a")
    return "flow"


@pytest.fixture
def claimed(foreign: Foreign, flow: str) -> tuple[uuid.UUID, ExchangeRecord]:
    """Return a worker and the task that it claimed."""
    foreign.start(flow, {"x": 1})
    worker_id = foreign.register()
    (task,) = claim(foreign, worker_id)
    return worker_id, task


def test_a_claim_hides_the_message_until_after_the_timeout(foreign: Foreign, claimed: Any) -> None:
    _, task = claimed
    assert (task.attempt, task.max_attempts, task.timeout, task.input) == (1, 3, 30, {"run": {"x": 1}})
    ((seconds,),) = foreign.execute("select extract(epoch from vt - clock_timestamp())::float from pgmq.q_flow")
    assert 30 < seconds <= 32


def test_of_two_that_hold_one_message_one_gets_the_task(foreign: Foreign, flow: str) -> None:
    foreign.start(flow)
    core, workers = foreign.core, [foreign.register(), foreign.register()]
    ((msg_id, _),) = foreign.ask(core.read_messages(flow, 1))
    # The first one's transaction is open when the second one looks.
    with foreign.session() as first, foreign.session() as second:
        first.execute("begin")
        conftest.run(first, core.start_tasks(flow, [msg_id], workers[0]))
        got: list[Any] = []
        other = threading.Thread(
            target=lambda: got.extend(conftest.run(second, core.start_tasks(flow, [msg_id], workers[1])))
        )
        other.start()
        _wait_until_blocked(foreign, second.info.backend_pid)
        first.execute("commit")
        other.join()
    assert len(got) == 1  # the core gave it to the second one, too
    assert len(foreign.ask(core.hold_tasks(flow, [msg_id], workers[0]))) == 1
    assert foreign.ask(core.hold_tasks(flow, [msg_id], workers[1])) == []


def test_a_report_counts_once(foreign: Foreign, claimed: Any) -> None:
    worker_id, task = claimed
    done = report(task, "completed", output='{"y": 2}')
    assert foreign.ask(foreign.core.report(worker_id, done)) == [True]
    assert foreign.ask(foreign.core.report(worker_id, replace(done, output="3"))) == []
    assert foreign.run(task.run_id)["output"] == {"a": {"y": 2}}


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_the_report_of_another_worker_is_dropped(foreign: Foreign, claimed: Any, outcome: str) -> None:
    _, task = claimed
    stale = report(task, outcome, output="1", error_message="late")
    assert foreign.ask(foreign.core.report(foreign.register(), stale)) == []
    assert foreign.tasks(task.run_id)[0]["status"] == "started"


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_the_report_of_an_earlier_attempt_is_dropped(foreign: Foreign, claimed: Any, outcome: str) -> None:
    worker_id, first = claimed
    foreign.ask(foreign.core.report(worker_id, report(first, "failed", error_message="boom")))
    (second,) = claim(foreign, worker_id)
    assert second.attempt == 2
    stale = report(first, outcome, output="1", error_message="late")
    assert foreign.ask(foreign.core.report(worker_id, stale)) == []
    assert foreign.tasks(first.run_id)[0]["status"] == "started"
    assert foreign.ask(foreign.core.report(worker_id, report(second, "completed", output="2"))) == [True]
    assert foreign.run(first.run_id)["output"] == {"a": 2}


def test_a_report_waits_for_the_one_before_it_and_is_dropped_then(foreign: Foreign, claimed: Any) -> None:
    worker_id, task = claimed
    core = foreign.core
    with foreign.session() as first, foreign.session() as second:
        first.execute("begin")
        conftest.run(first, core.report(worker_id, report(task, "failed", error_message="boom")))
        got: list[Any] = [None]

        def repeat() -> None:
            got[0] = conftest.run(second, core.report(worker_id, report(task, "completed", output="1")))

        other = threading.Thread(target=repeat)
        other.start()
        _wait_until_blocked(foreign, second.info.backend_pid)
        first.execute("commit")
        other.join()
    assert got == [[]]
    assert foreign.tasks(task.run_id)[0]["status"] == "queued"


def test_the_report_on_a_run_that_failed_is_dropped(foreign: Foreign) -> None:
    foreign.define("flow", "a", "b", max_attempts=1)
    run_id, worker_id = foreign.start("flow"), foreign.register()
    a, b = sorted(claim(foreign, worker_id), key=lambda task: task.step_slug)
    assert foreign.ask(foreign.core.report(worker_id, report(a, "failed", error_message="boom"))) == [True]
    assert foreign.ask(foreign.core.report(worker_id, report(b, "completed", output="1"))) == []
    assert foreign.run(run_id)["status"] == "failed"


def test_an_output_of_the_wrong_type_counts_as_reported(foreign: Foreign) -> None:
    foreign.define("flow", "a")
    foreign.execute("select pgflow.add_step('flow', 'b', array['a'], step_type => 'map')")
    run_id, worker_id = foreign.start("flow"), foreign.register()
    (task,) = claim(foreign, worker_id)
    assert foreign.ask(foreign.core.report(worker_id, report(task, "completed", output='"no array"'))) == [True]
    assert foreign.run(run_id)["status"] == "failed"


def test_failed_attempts_are_kept_beside_the_core(adopted: Foreign) -> None:
    adopted.define("flow", "a", max_attempts=2)
    adopted.start("flow")
    worker_id = adopted.register()
    for number in (1, 2):
        (task,) = claim(adopted, worker_id)
        failure = report(task, "failed", error_message=f"boom {number}", error_class="ValueError", traceback="line 1")
        assert adopted.ask(adopted.core.report(worker_id, failure)) == [True]
        assert adopted.ask(adopted.core.report(worker_id, failure)) == []
    rows = adopted.execute(
        "select attempt, worker_id, error_message, error_class, traceback from django_pgflow.failed_attempts order by 1"
    )
    assert rows == [(number, worker_id, f"boom {number}", "ValueError", "line 1") for number in (1, 2)]


def test_a_delay_chosen_by_the_handler_is_kept(foreign: Foreign, claimed: Any) -> None:
    worker_id, task = claimed
    foreign.ask(foreign.core.report(worker_id, report(task, "failed", error_message="later", delay=500)))
    ((seconds,),) = foreign.execute("select extract(epoch from vt - clock_timestamp())::float from pgmq.q_flow")
    assert 480 < seconds <= 500


def test_outcomes_that_the_core_does_not_know_are_told_as_others(foreign: Foreign, claimed: Any) -> None:
    _, task = claimed
    settle = foreign.core.settle
    assert settle(report(task, "exhausted", error_message="no")) == report(task, "failed", error_message="no")
    skipped = settle(report(task, "skipped", error_message="nothing to do"))
    assert skipped is not None
    assert skipped.outcome == "failed"
    assert "Skipping a step from its handler needs the core that django-pgflow installs" in str(skipped.error_message)
    released = settle(report(task, "released"))
    if foreign.version == "0.7.2":  # nobody would ever find it
        assert released is not None
        assert released.outcome == "failed"
    else:
        assert released is None


def _wait_until_blocked(foreign: Foreign, pid: int) -> None:
    for _ in range(500):
        if foreign.execute("select cardinality(pg_blocking_pids(%s)) > 0", [pid]) == [(True,)]:
            return
    pytest.fail("The session does not wait.")
