"""Several worker processes under a supervisor."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.acceptance.conftest import ended, output, start, task_rows
from tests.fixtures.worker import WorkerProcess, database_url, eventually, query

pytestmark = pytest.mark.acceptance

NO_SYNC = json.dumps({"FLOW_MODULES": ["tests.acceptance.flows"], "SYNC": False})


def pids(supervisor: WorkerProcess) -> list[int]:
    """Return the ids of all processes that were started so far."""
    return [int(pid) for pid in re.findall(r"Worker process started pid=(\d+)", supervisor.log)]


def is_alive(pid: int) -> bool:
    """Whether a process works; one that has ended and was not waited for does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def supervise(start_worker: Callable[..., WorkerProcess]) -> Iterator[Callable[..., WorkerProcess]]:
    """Return a function that starts a supervisor and waits until its processes work; all are ended after the test."""
    started: list[WorkerProcess] = []

    def run(*arguments: str, processes: int = 2, ready: bool = True, **environment: str) -> WorkerProcess:
        supervisor = start_worker("--processes", str(processes), *arguments, ready=False, **environment)
        started.append(supervisor)
        if ready:
            supervisor.wait_for_log("Worker started", count=processes, deadline=60)
        return supervisor

    yield run
    for supervisor in started:
        supervisor.process.kill()
        supervisor.wait()
        for pid in pids(supervisor):
            with contextlib.suppress(ProcessLookupError):
                if is_alive(pid):
                    os.kill(pid, signal.SIGKILL)


def test_all_processes_work(supervise, ledger):
    supervisor = supervise("acc_slow", "--concurrency", "2", processes=3)
    assert output(start("acc_slow", [1.0] * 12)) == {"doze": ["slept"] * 12}
    assert {pid for (pid,) in ledger("pid")} == set(pids(supervisor))
    assert supervisor.process.pid not in pids(supervisor)


def test_a_killed_process_is_replaced_and_its_task_done(supervise, ledger):
    supervisor = supervise(
        "acc_slow",
        TEST_PGFLOW=json.dumps({"FLOW_MODULES": ["tests.acceptance.flows"], "WORKER": {"sweep_interval": 0.2}}),
    )
    run_id = start("acc_slow", [30.0])
    eventually(ledger, "the task to begin")
    os.kill(ledger("pid")[0][0], signal.SIGKILL)
    supervisor.wait_for_log("signal=SIGKILL")
    query(
        "update pgflow.step_tasks set queued_at = queued_at - interval '1 hour', "
        "started_at = started_at - interval '1 hour', input = '0'"
    )
    assert ended(run_id).status == "completed"
    supervisor.wait_for_log("Worker started", count=3)
    assert len(pids(supervisor)) == 3


@pytest.mark.parametrize(
    "send",
    [
        pytest.param(lambda s: s.send(signal.SIGTERM), id="SIGTERM"),
        pytest.param(lambda s: os.killpg(s.process.pid, signal.SIGINT), id="Ctrl-C"),
        pytest.param(lambda s: [os.kill(pid, signal.SIGTERM) for pid in (*pids(s), s.process.pid)], id="systemd"),
    ],
)
def test_one_signal_lets_running_tasks_end(supervise, ledger, send):
    supervisor = supervise("acc_slow", "--concurrency", "1")
    run_id = start("acc_slow", [2.0, 2.0, 2.0])
    eventually(lambda: len(ledger()) == 2, "two tasks to begin")
    send(supervisor)
    assert supervisor.wait() == 0
    assert sorted(row[2] for row in task_rows(run_id)) == ["completed", "completed", "queued"], supervisor.log
    assert query("select bool_and(stopped_at is not null), count(*) from pgflow.workers") == [(True, 2)]
    assert "at once" not in supervisor.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_gives_back_everything(supervise, ledger, number):
    supervisor = supervise("acc_slow", "--concurrency", "1", "--grace", "600")
    run_id = start("acc_slow", [50.0, 50.0])
    eventually(lambda: len(ledger()) == 2, "two tasks to begin")
    os.killpg(supervisor.process.pid, number)
    supervisor.wait_for_log("Worker stopping", count=2)
    os.killpg(supervisor.process.pid, number)
    assert supervisor.wait() == 0
    assert [row[2:] for row in task_rows(run_id)] == [("queued", 0)] * 2


def test_a_signal_while_processes_start(supervise):
    supervisor = supervise("acc_slow", ready=False)
    supervisor.wait_for_log("Worker process started", count=2)
    supervisor.send(signal.SIGTERM)
    assert supervisor.wait(60) == 0
    assert "Traceback" not in supervisor.log
    assert "Worker started" not in supervisor.log
    assert not any(map(is_alive, pids(supervisor)))


def test_processes_end_in_order_when_their_supervisor_was_killed(supervise, ledger):
    supervisor = supervise("acc_slow", "--concurrency", "1")
    run_id = start("acc_slow", [2.0, 2.0, 2.0])
    eventually(lambda: len(ledger()) == 2, "two tasks to begin")
    supervisor.send(signal.SIGKILL)
    supervisor.wait()
    eventually(lambda: not any(map(is_alive, pids(supervisor))), "the processes to end")
    assert supervisor.log.count("Worker told to stop by=end of the supervisor") == 2
    assert sorted(row[2] for row in task_rows(run_id)) == ["completed", "completed", "queued"]


def test_a_process_that_is_told_to_stop_is_replaced(supervise):
    supervisor = supervise("acc_count")
    os.kill(pids(supervisor)[0], signal.SIGTERM)
    supervisor.wait_for_log("Worker started", count=3)
    supervisor.send(signal.SIGTERM)
    assert supervisor.wait() == 0


def test_processes_are_replaced_after_so_many_tasks_and_no_task_is_lost_or_doubled(supervise, ledger):
    run_id = _queued(supervise, "acc_count", list(range(100)))
    supervisor = supervise(
        "acc_count", "--concurrency", "4", "--max-tasks", "20", "--until-idle", "--poll-interval", "0.2", ready=False
    )
    assert supervisor.wait(110) == 0
    assert ended(run_id).status == "completed"
    rows = ledger("task_index, pid")
    assert sorted(row[0] for row in rows) == list(range(100))
    assert max(Counter(row[1] for row in rows).values()) < 20 + 2 * 4
    assert supervisor.log.count("Worker told to stop by=max_tasks") >= 3
    assert all(status == "completed" and attempts == 1 for *_, status, attempts in task_rows(run_id))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="elsewhere only the peak is known")
def test_processes_are_replaced_when_they_have_too_much_memory(supervise, ledger):
    environment = {"TEST_PGFLOW": json.dumps({"FLOW_MODULES": ["tests.acceptance.leaking_flows"]})}
    run_id = _queued(supervise, "acc_leak", [100] * 12, **environment)
    arguments = ["acc_leak", "--concurrency", "1", "--max-memory", "400", "--until-idle"]
    supervisor = supervise(*arguments, processes=1, ready=False, **environment)
    assert supervisor.wait(110) == 0
    assert supervisor.log.count("Worker told to stop by=max_memory") >= 1
    assert ended(run_id).status == "completed"
    assert sorted(row[0] for row in ledger("task_index")) == list(range(12))
    assert len({row[0] for row in ledger("pid")}) >= 2


def _queued(supervise: Callable[..., WorkerProcess], flow_slug: str, value: object, **environment: str) -> object:
    """Write a flow to the database, as any worker does, and start a run that waits."""
    assert supervise(flow_slug, "--until-idle", processes=1, ready=False, **environment).wait() == 0
    return start(flow_slug, value)


def test_it_gives_up_when_no_process_can_start(supervise):
    supervisor = supervise("acc_count", ready=False, TEST_PGFLOW=NO_SYNC)
    assert supervisor.wait(60) == 1
    assert "CommandError: No flow is left to serve" in supervisor.log
    assert "Supervisor gave up: no worker process starts" in supervisor.log


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_flow"], "No flow is registered as 'no_such_flow'"),
        (["--autoreload"], "--autoreload goes with one process and without limits"),
        (["--max-memory", "1"], r"max_memory is 1 MB, and the process has \d+ MB before its first task"),
        (["--max-tasks", "-1"], "max_tasks must be at least 0"),
        (["--processes", "0"], "processes must be at least 1"),
    ],
)
def test_what_is_wrong_with_the_call_is_said_once(supervise, arguments, message):
    supervisor = supervise(*arguments, ready=False)
    assert supervisor.wait() == 1
    assert len(re.findall(message, supervisor.log)) == 1
    assert not pids(supervisor)


def test_a_script_is_started_again_as_it_was(tmp_path, transactional_db):
    script = tmp_path / "control.py"
    script.write_text(
        "import os, sys\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.acceptance.settings'\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(sys.argv)\n"
    )
    environment = {**os.environ, "DATABASE_URL": database_url(), "PYTHONPATH": os.getcwd()}
    ended = subprocess.run(
        [sys.executable, script, "runpgflowworker", "acc_count", "--processes=2", "--until-idle"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("Worker process ended") == 2
    assert ended.stderr.count("by=idleness") == 2


def test_by_call_command_there_is_one_worker(transactional_db, settings):
    settings.PGFLOW = {"WORKER": {"processes": 4, "max_tasks": 1}}
    call_command("runpgflowworker", until_idle=True)
    ((name,),) = query("select function_name from pgflow.workers")
    assert name.endswith(f":{os.getpid()}")
    with pytest.raises(CommandError, match="Several processes can be started by the command line only"):
        call_command("runpgflowworker", processes=2)
