"""A worker process on a core that others installed."""

from __future__ import annotations

import uuid

import pytest

from tests.conformance.conftest import Foreign

pytestmark = pytest.mark.acceptance

ROOT = {"input": {"run": {"a": 1}}, "flow_input": {"a": 1}}


def test_a_chain_runs_and_handlers_get_our_shape_of_input(adopted: Foreign) -> None:
    run_id = adopted.start("con_chain", {"a": 1})
    adopted.work("con_chain")
    run = adopted.run(run_id)
    assert run["status"] == "completed"
    assert run["output"] == {"leaf": {"middle": ["root", "run"], "root": ROOT, "flow_input": {"a": 1}}}
    assert adopted.execute("select count(*) from pgmq.q_con_chain") == [(0,)]


def test_an_input_that_is_null_is_given_as_none(adopted: Foreign) -> None:
    run_id = adopted.start("con_chain", None)
    adopted.work("con_chain")
    assert adopted.run(run_id)["output"]["leaf"]["root"] == {"input": {"run": None}, "flow_input": None}


def test_maps_run(adopted: Foreign) -> None:
    run_id, empty = adopted.start("con_maps", [1, 2, 3]), adopted.start("con_maps", [])
    adopted.work("con_maps")
    assert adopted.run(run_id)["output"] == {"total": 2 + 5 + 8}
    assert adopted.run(empty)["output"] == {"total": 0}


def test_several_flows_are_served_at_a_time(adopted: Foreign) -> None:
    runs = [adopted.start("con_chain", {}) for _ in range(12)] + [adopted.start("con_maps", [1]) for _ in range(12)]
    adopted.work()
    assert {adopted.run(run_id)["status"] for run_id in runs} == {"completed"}


def test_caps_of_flows_and_steps_hold(adopted: Foreign) -> None:
    run_id = adopted.start("con_capped", list(range(6)))
    adopted.work("con_capped")
    output = adopted.run(run_id)["output"]
    assert output["narrow"] == [1] * 6
    assert 2 <= max(output["wide"]) <= 3
    assert {task["attempts_count"] for task in adopted.tasks(run_id)} == {1}


def test_a_failed_task_is_retried(adopted: Foreign) -> None:
    run_id = adopted.start("con_flaky")
    log = adopted.work("con_flaky")
    assert adopted.run(run_id)["output"] == {"third_time": [3, 3]}
    assert log.count("Task failed") == 2


def test_the_last_failure_fails_the_run(adopted: Foreign) -> None:
    run_id = adopted.start("con_hopeless")
    adopted.work("con_hopeless")
    assert adopted.run(run_id)["status"] == "failed"
    (task,) = adopted.tasks(run_id)
    assert (task["status"], task["attempts_count"]) == ("failed", 2)
    assert task["error_message"] == "ValueError: no  luck"


def test_the_worker_notes_its_end_where_there_is_a_place(adopted: Foreign) -> None:
    log = adopted.work("con_chain")
    assert "Worker stopped" in log
    assert "not noted" not in log
    assert "Traceback" not in log
    rows = adopted.execute("select to_jsonb(w) -> 'stopped_at' is not null from pgflow.workers w")
    assert rows == [(adopted.version == "0.14.1",)]


def test_a_worker_of_a_core_that_takes_no_task_back_says_so(adopted: Foreign) -> None:
    log = adopted.work("con_chain")
    told = "Giving back stalled tasks needs pgflow 0.13.2 or later; the database has pgflow 0.7.0 or later" in log
    assert told == (adopted.version == "0.7.2")


def test_stalled_tasks_are_done_by_another_worker(adopted: Foreign) -> None:
    if adopted.version == "0.7.2":
        pytest.skip("never given back there")
    run_id = adopted.start("con_chain", {"a": 1})
    ((msg_id, _),) = adopted.ask(adopted.core.read_messages("con_chain", 1))
    adopted.ask(adopted.core.start_tasks("con_chain", [msg_id], adopted.register()))
    adopted.execute(
        "update pgflow.step_tasks set queued_at = queued_at - interval '1 hour', "
        "started_at = started_at - interval '1 hour'"
    )
    adopted.work("con_chain")
    assert adopted.run(run_id)["status"] == "completed"


def test_flows_are_written_and_compared(adopted: Foreign) -> None:
    adopted.manage("pgflow_sync", "--check")
    adopted.execute("update pgflow.flows set opt_timeout = 77 where flow_slug = 'con_maps'")
    assert adopted.manage("pgflow_sync", "--check", check=False).returncode == 1
    adopted.manage("pgflow_sync")
    adopted.manage("pgflow_sync", "--check")
    assert adopted.execute("select step_slug, step_type from pgflow.steps where flow_slug = 'con_maps' order by 1") == [
        ("again", "map"),
        ("double", "map"),
        ("total", "single"),
    ]


def test_an_atomic_step_writes_once(adopted: Foreign) -> None:
    adopted.execute("create table ledger (note text)")
    run_id = adopted.start("con_atomic")
    adopted.work("con_atomic")
    assert adopted.run(run_id)["output"] == {"write": 2}
    assert adopted.execute("select note from ledger") == [("attempt 2",)]


def test_an_atomic_step_whose_run_has_ended_writes_nothing(adopted: Foreign) -> None:
    adopted.execute("create table ledger (note text)")
    run_id = adopted.start("con_atomic", "lost")
    log = adopted.work("con_atomic")
    assert "Report refused" in log
    assert adopted.execute("select note from ledger") == []
    assert [task["status"] for task in adopted.tasks(run_id)] == ["started"]


def test_a_handler_knows_and_tells_what_it_can_there(adopted: Foreign) -> None:
    run_id = adopted.start("con_context", {"b": 2})
    adopted.work("con_context", "con_chain")
    (((meta, flow_input, child, refusal)),) = adopted.run(run_id)["output"].values()
    assert (meta, flow_input) == ({}, {"b": 2})
    assert adopted.run(uuid.UUID(child))["status"] == "completed"
    assert refusal.startswith("Extending the time of a task needs the core that django-pgflow installs")
    parents = "select parent_run_id, parent_step_slug, parent_task_index from django_pgflow.run_details"
    assert adopted.execute(parents) == [(run_id, "ask", 0)]
    assert adopted.execute("select done, total, text from django_pgflow.task_progress") == [(1.0, 2.0, "half")]
