"""Workers on cores of others that are told to stop, cut off, or not alone."""

from __future__ import annotations

import signal
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import Foreign
from tests.fixtures.worker import DEADLINE, eventually

pytestmark = pytest.mark.acceptance


@pytest.fixture
def start_worker(adopted: Foreign, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return a function that starts a worker; it is killed after the test if it still runs."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        processes.append(adopted.start_worker(tmp_path / "log", *arguments))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def statuses(adopted: Foreign, run_id: uuid.UUID) -> list[str]:
    return [task["status"] for task in adopted.tasks(run_id)]


def test_a_task_in_work_at_the_stop_is_not_lost(
    adopted: Foreign, start_worker: Callable[..., Any], tmp_path: Path
) -> None:
    run_id = adopted.start("con_slow", 60)
    worker = start_worker("con_slow", "--grace", "0")
    eventually(lambda: statuses(adopted, run_id) == ["started"], "the task's start")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE) == 0
    log = (tmp_path / "log").read_text()
    if adopted.version == "0.7.2":  # nobody would find it stalled
        assert "so the task is reported as failed" in log
        assert statuses(adopted, run_id) == ["queued"]
    else:
        assert "so the task is left to be found stalled" in log
        assert statuses(adopted, run_id) == ["started"]
        adopted.execute(
            "update pgflow.step_tasks set queued_at = queued_at - interval '1 hour', "
            "started_at = started_at - interval '1 hour'"
        )
    adopted.work("con_slow")
    assert adopted.run(run_id)["output"] == {"nap": 2}


def test_a_cut_connection_costs_nothing(adopted: Foreign, start_worker: Callable[..., Any]) -> None:
    run_id = adopted.start("con_slow", 2)
    worker = start_worker("con_slow", "--until-idle")
    eventually(lambda: statuses(adopted, run_id) == ["started"], "the task's start")
    adopted.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'django-pgflow%'"
    )
    more = [adopted.start("con_slow", 0) for _ in range(5)]
    assert worker.wait(DEADLINE) == 0
    assert adopted.run(run_id)["output"] == {"nap": 1}
    assert {adopted.run(other)["status"] for other in more} == {"completed"}


def test_a_report_that_comes_too_late_is_dropped(
    adopted: Foreign, start_worker: Callable[..., Any], tmp_path: Path
) -> None:
    run_id = adopted.start("con_slow", 2)
    worker = start_worker("con_slow", "--until-idle")
    eventually(lambda: statuses(adopted, run_id) == ["started"], "the task's start")
    # Taken for dead: the task is another worker's now.
    other = adopted.register()
    adopted.execute("update pgflow.step_tasks set attempts_count = 2, last_worker_id = %s", [other])
    eventually(lambda: "Report refused" in (tmp_path / "log").read_text(), "the refusal")
    assert statuses(adopted, run_id) == ["started"]
    adopted.execute("select pgflow.complete_task(%s, 'nap', 0, '7')", [run_id])
    assert worker.wait(DEADLINE) == 0
    assert adopted.run(run_id)["output"] == {"nap": 7}


def test_a_worker_of_others_shares_the_work(adopted: Foreign, start_worker: Callable[..., Any]) -> None:
    runs = [adopted.start("con_maps", list(range(10))) for _ in range(6)]
    theirs, over, done = adopted.register(), threading.Event(), []

    def work() -> None:
        """Read, start and complete as the protocol says, with a short visibility."""
        with adopted.session() as session:
            while not over.is_set():
                messages = session.execute("select msg_id from pgmq.read_with_poll('con_maps', 2, 3, 1, 20)").fetchall()
                tasks = session.execute(
                    "select * from pgflow.start_tasks('con_maps', %s::bigint[], %s)",
                    [[row["msg_id"] for row in messages], theirs],
                ).fetchall()
                for task in tasks:
                    given = task["input"]
                    output = {
                        "double": lambda: [given * 2, 10],  # noqa: B023
                        "again": lambda: given[0] + task["task_index"],  # noqa: B023
                        "total": lambda: sum(given["again"]),  # noqa: B023
                    }[task["step_slug"]]()
                    session.execute(
                        "select pgflow.complete_task(%s, %s, %s, %s::jsonb)",
                        [task["run_id"], task["step_slug"], task["task_index"], str(output)],
                    )
                    done.append(task)

    other = threading.Thread(target=work)
    other.start()
    try:
        worker = start_worker("con_maps", "--until-idle")
        assert worker.wait(DEADLINE) == 0
        eventually(lambda: {adopted.run(one)["status"] for one in runs} == {"completed"}, "the end of all runs")
    finally:
        over.set()
        other.join()
    assert {adopted.run(run_id)["output"]["total"] for run_id in runs} == {sum(3 * n for n in range(10))}
    assert done
    attempts = adopted.execute("select distinct attempts_count from pgflow.step_tasks")
    assert attempts == [(1,)]
