"""Handlers in other processes: children of the worker, pools, a cluster."""

from __future__ import annotations

import json
import os
import signal

import pytest
from django.contrib.auth import get_user_model

from tests.acceptance.conftest import ended, ledger, output, start, task_rows  # noqa: F401
from tests.fixtures.worker import eventually, query

pytestmark = pytest.mark.acceptance

PROCESSES = {"BACKEND": "concurrent.futures.ProcessPoolExecutor", "OPTIONS": {"max_workers": 2}}
THREADS = {"BACKEND": "concurrent.futures.ThreadPoolExecutor", "OPTIONS": {"max_workers": 1}}
MOODY = {"BACKEND": "tests.integration.worker.executor_flows.Moody", "OPTIONS": {"max_workers": 1}}


@pytest.fixture
def serve(start_worker):
    """Return a function that starts a worker of the flows of this module."""

    def serve(*arguments, pool=THREADS, **environment):
        pgflow = {"FLOW_MODULES": ["tests.integration.worker.executor_flows"], "EXECUTORS": {"pool": pool}}
        return start_worker(*arguments, TEST_PGFLOW=json.dumps(pgflow), **environment)

    return serve


def is_alive(pid):
    """Tell whether there is such a process, other than a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def failure(run_id):
    """Wait for a run's bad end, and return class and text of its error, and its traceback."""
    assert ended(run_id).status == "failed"
    (found,) = query(
        "select error_class, error_message, traceback from django_pgflow.failed_attempts where run_id = %s", run_id
    )
    return found


# -- processes


def test_handlers_run_in_processes_that_are_kept(serve):
    worker = serve("exe_processes", "--concurrency", "2")
    pids = output(start("exe_processes", ["pid"] * 4))["each"]
    assert len(set(pids)) == 2
    assert worker.process.pid not in pids
    assert set(output(start("exe_processes", ["pid", "pid"]))["each"]) <= set(pids)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert not any(map(is_alive, pids))


def test_a_handler_in_a_process_has_its_context_and_the_orm(serve):
    serve("exe_processes")
    run_id = start("exe_processes", ["nothing", "context"])
    assert output(run_id)["each"] == ["nothing", [str(run_id), "exe_processes", "each", 1, 1, True]]
    assert get_user_model().objects.filter(username=str(run_id)).exists()


def test_a_handler_in_a_process_knows_its_worker(serve):
    worker = serve("exe_processes")
    assert output(start("exe_processes", ["worker"])) == {"each": [[["worker"], str(worker.process.pid)]]}


def test_a_handler_in_a_process_tells_its_progress(serve):
    serve("exe_processes")
    run_id = start("exe_processes", ["progress"])
    assert ended(run_id).status == "completed"
    assert query("select done, total, text from django_pgflow.task_progress where run_id = %s", run_id) == [
        (1, 3, "in another process")
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_an_atomic_step_commits_in_its_process(serve, fails):
    worker = serve("exe_atomic")
    run_id = start("exe_atomic", {"fails": fails})
    assert ended(run_id).status == ("failed" if fails else "completed")
    assert get_user_model().objects.filter(username=str(run_id)).exists() == (not fails)
    assert "Report refused" not in worker.log


def test_a_process_logs_as_its_worker_does(serve):
    worker = serve("exe_processes")
    run_id = start("exe_processes", ["log"])
    assert ended(run_id).status == "completed"
    (line,) = [line for line in worker.log.splitlines() if "Noted by the handler" in line]
    assert f"WARNING Noted by the handler run={run_id} step=each index=0 attempt=1" in line


def test_large_inputs_and_outputs_pass(serve):
    serve("exe_processes")
    run_id = start("exe_processes", ["large", "y" * 5_000_000])
    assert [len(text) for text in output(run_id)["each"]] == [5_000_000] * 2


@pytest.mark.parametrize(
    ("what", "error_class", "text"),
    [
        # Those that are tried once, whatever attempts are left, belong to a flow with three attempts.
        ("unpicklable", "tests.integration.worker.executor_flows.Unpicklable", "Unpicklable: cannot travel (7)"),
        ("quit", "builtins.SystemExit", "SystemExit: 4"),
        ("not a number", "django_pgflow.exceptions.NotSerializable", "NotSerializable: The value at $ cannot be"),
        ("no retry", "django_pgflow.exceptions.NonRetryable", "NonRetryable: no such customer"),
        ("known", "builtins.LookupError", "LookupError: known"),
    ],
)
def test_what_a_handler_raises_in_a_process_comes_back_as_text(serve, what, error_class, text):
    flow_slug = "exe_patient" if what in ("not a number", "no retry", "known") else "exe_processes"
    worker = serve(flow_slug)
    found = failure(start(flow_slug, [what]))
    assert found[0] == error_class
    assert found[1].startswith(text)
    assert found[2].startswith("Traceback (most recent call last):\n")
    assert "django_pgflow/worker" not in found[2]
    worker.wait_for_log(f"django_pgflow.exceptions.RemoteError: {text}")
    worker.wait_for_log(found[2])


def test_decisions_are_heard_from_a_process(serve, ledger):  # noqa: F811
    worker = serve("exe_patient")
    later = start("exe_patient", ["later"])
    skip = start("exe_patient", ["skip"])
    assert output(later) == {"again": [2]}
    assert task_rows(later) == [("again", 0, "completed", 1)]
    assert ended(skip).status == "completed"
    assert [row[2] for row in task_rows(skip)] == ["skipped"]
    worker.wait_for_log("Step skipped by its handler")
    worker.wait_for_log("Task given back by its handler")


def test_a_timeout_kills_the_process_and_what_it_started(serve, ledger):  # noqa: F811
    serve("exe_hasty", "--concurrency", "1")
    assert len(output(start("exe_hasty", ["pid"]))["quick"]) == 1
    run_id = start("exe_hasty", ["hang"])
    (pid, helper) = eventually(lambda: ledger("pid, note"), "the handler to begin")[0]
    assert failure(run_id) == ("builtins.TimeoutError", "TimeoutError: timed out after 3 s", None)
    eventually(lambda: not is_alive(pid) and not is_alive(helper), "the end of the processes")
    (next_pid,) = output(start("exe_hasty", ["pid"]))["quick"]
    assert next_pid != pid


@pytest.mark.parametrize(
    ("what", "how"),
    [("exit", "with exit code 3"), ("crash", "of signal 11 (SIGSEGV)")],
)
def test_a_process_that_dies_fails_its_task_and_no_other(serve, what, how):
    worker = serve("exe_processes")
    other = start("exe_processes", ["pid"] * 3)
    run_id = start("exe_processes", [what])
    error_class, text, _ = failure(run_id)
    assert error_class == "django_pgflow.exceptions.ProcessDied"
    assert text == f"ProcessDied: The process of the handler died {how}."
    assert ended(other).status == "completed"
    assert ended(start("exe_processes", ["pid"])).status == "completed"
    assert worker.process.poll() is None


def test_a_task_whose_process_was_killed_is_tried_again(serve):
    serve("exe_patient")
    run_id = start("exe_patient", ["die once"])
    assert output(run_id) == {"again": [2]}
    assert query("select error_message from django_pgflow.failed_attempts where run_id = %s", run_id) == [
        ("ProcessDied: The process of the handler died of signal 9 (SIGKILL), as when memory runs out.",)
    ]


def test_no_process_outlives_a_killed_worker(serve, ledger):  # noqa: F811
    worker = serve("exe_processes", "--concurrency", "2")
    pids = output(start("exe_processes", ["pid"] * 2))["each"]
    start("exe_processes", ["hang"])
    (pid, helper) = eventually(lambda: ledger("pid, note"), "the handler to begin")[0]
    worker.send(signal.SIGKILL)
    worker.wait()
    eventually(lambda: not any(map(is_alive, [*pids, pid, helper])), "the end of the processes")


def test_a_second_signal_gives_back_what_runs_in_a_process(serve, ledger):  # noqa: F811
    worker = serve("exe_processes", "--grace", "60")
    run_id = start("exe_processes", ["hang"])
    (pid, helper) = eventually(lambda: ledger("pid, note"), "the handler to begin")[0]
    worker.send(signal.SIGTERM)
    worker.wait_for_log("Worker stopping")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert task_rows(run_id) == [("each", 0, "queued", 0)]
    assert not is_alive(pid)
    assert not is_alive(helper)


def test_signals_for_everybody_end_no_handler_within_the_grace(serve, ledger):  # noqa: F811
    worker = serve("exe_processes", "--grace", "60")
    run_id = start("exe_processes", ["sleep"])
    (pid,) = eventually(lambda: ledger("pid"), "the handler to begin")[0]
    assert os.getpgid(pid) != os.getpgid(worker.process.pid)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    worker.send(signal.SIGINT)
    assert worker.wait() == 0
    assert output(run_id) == {"each": ["slept"]}


def test_a_start_that_takes_too_long_is_no_waste(serve):
    """The first task may time out meanwhile; the process is there for the next, and no other is started."""
    worker = serve("exe_hasty", "--concurrency", "1", TEST_SLOW_START="5")
    assert failure(start("exe_hasty", ["pid"]))[1] == "TimeoutError: timed out after 3 s"
    eventually(lambda: start_and_end("exe_hasty", ["pid"]) == "completed", "a process")
    assert worker.log.count("A slow start") == 1


# -- executors of the settings


@pytest.mark.parametrize("pool", [THREADS, PROCESSES], ids=["threads", "processes"])
def test_any_executor_of_the_standard_library_will_do(serve, pool):
    worker = serve("exe_pool", "--concurrency", "2", pool=pool)
    run_id = start("exe_pool", ["pid", "pid", "context"])
    *pids, context = output(run_id)["pooled"]
    assert (worker.process.pid in pids) == (pool is THREADS)
    assert context == [str(run_id), "exe_pool", "pooled", 2, 1, True]
    assert get_user_model().objects.filter(username=str(run_id)).exists()
    error_class, text, traceback = failure(start("exe_pool", ["unpicklable"]))
    assert error_class == "tests.integration.worker.executor_flows.Unpicklable"
    assert text == "Unpicklable: cannot travel (7)"
    assert traceback.startswith("Traceback (most recent call last):\n")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def test_a_broken_pool_is_made_anew(serve):
    worker = serve("exe_pool", pool=PROCESSES)
    error_class, text, _ = failure(start("exe_pool", ["exit"]))
    assert error_class == "concurrent.futures.process.BrokenProcessPool"
    assert "terminated abruptly" in text
    assert ended(start("exe_pool", ["pid"])).status == "completed"
    worker.wait_for_log("Executor refused a task, making it anew name=pool")


def test_what_an_executor_will_not_do_is_given_back(serve):
    worker = serve("exe_pool", pool=MOODY)
    run_id = start("exe_pool", ["done"])
    worker.wait_for_log("executor=pool error=no such cluster")
    worker.wait_for_log("Task given back, as its executor cancelled it")
    assert output(run_id) == {"pooled": ["done"]}
    assert task_rows(run_id) == [("pooled", 0, "completed", 1)]


def test_a_timeout_frees_the_slot_and_withdraws_what_has_not_begun(serve, ledger):  # noqa: F811
    worker = serve("exe_hasty_pool", "--concurrency", "2")
    run_id = start("exe_hasty_pool", [6, 6])
    assert ended(run_id).status == "failed"
    assert output(start("exe_hasty_pool", [])) == {"soon": []}
    eventually(lambda: start_and_end("exe_hasty_pool", [0]) == "completed", "the pool to be free again")
    assert len(ledger(where=f"run_id = '{run_id}'")) == 1
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def start_and_end(flow_slug, value):
    return ended(start(flow_slug, value)).status
