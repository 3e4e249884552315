"""The parts of the chaos that decide something, without any."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from tests.chaos import logs, monkey, report
from tests.chaos.promises import Promise
from tests.chaos.watch import Kill, Watch

LOG = """\
2026-01-01 10:00:00,123 INFO Worker started worker=0a
2026-01-01 10:00:01,123 ERROR Task failed flow=f run=0b step=s index=0 attempt=2 seconds=0.1 error=Unwell: never
Traceback (most recent call last):
  File "flows.py", line 1, in hopeless
    raise Unwell("never")
tests.chaos.flows.Unwell: never
2026-01-01 10:00:02,123 WARNING Report refused: the task is no longer ours, or its run has ended flow=f run=0c
2026-01-01 10:00:03,123 ERROR Exchange failed, trying again until it works: no 17
Traceback (most recent call last):
  File "a.py", line 1, in b

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 2, in c
ValueError: no 17
CONTEXT:  a second line
"""

SERVER_LOG = """\
2026-01-01 10:00:00.123 UTC [17] LOG:  database system is ready to accept connections
2026-01-01 10:00:00.123 UTC [17] FATAL:  terminating connection due to administrator command
2026-01-01 10:00:00.123 UTC [17] ERROR:  deadlock detected
2026-01-01 10:00:00.123 UTC [17] DETAIL:  Process 1 waits
"""


def test_tracebacks_are_unexpected_unless_a_handler_failed_on_purpose(tmp_path: Path) -> None:
    (tmp_path / "worker-0001.log").write_text(LOG)
    (tmp_path / "log").write_text(SERVER_LOG)
    found = logs.read([tmp_path / "worker-0001.log"], tmp_path / "log")
    assert found.tracebacks == {"Exchange failed, trying again until it works: no # … ValueError: no #": 1}
    assert found.refused_reports == 1
    assert found.deadlocks == 1
    assert found.server_errors.total() == 1


def test_the_plan_follows_from_the_seed() -> None:
    plan = list(monkey.plan(7, 600.0, 4))
    assert plan == list(monkey.plan(7, 600.0, 4))
    assert plan != list(monkey.plan(8, 600.0, 4))
    assert {harm.kind for harm in plan} == set(monkey.WEIGHTS)
    assert all(0 <= harm.place < 4 and harm.at < 600.0 for harm in plan)


def killed(watch: Watch, seconds: float, *, settled: bool = True) -> None:
    pid = len(watch.kills)
    task = (UUID(int=pid), "step", 0)
    watch.kills.append(
        Kill(name=f"host:{pid}", pid=pid, at=100.0 * pid, held={task}, recovered={task: seconds}, settled=settled)
    )


def test_the_median_of_many_kills_is_judged() -> None:
    watch = Watch("", print)
    for _ in range(report.ENOUGH - 1):
        killed(watch, 30.0)
    assert report.recovery(watch).broken == []
    killed(watch, 30.0)
    assert report.recovery(watch).broken == ["the median is longer"]


def test_a_kill_that_nobody_recovered_from_breaks_the_promise() -> None:
    watch = Watch("", print)
    killed(watch, 1.0)
    killed(watch, 0.0, settled=False)
    assert report.recovery(watch).broken == ["tasks of killed worker 1 were never recovered"]


def test_a_return_of_postgres_disturbs_the_recovery_that_it_falls_into() -> None:
    watch = Watch("", print)
    for _ in range(3):
        killed(watch, 20.0)
    watch.returns = [115.0, 190.0]
    assert [watch.undisturbed(kill) for kill in watch.kills] == [True, False, False]


def test_a_broken_promise_shows_in_the_report() -> None:
    promises = [Promise(text="one", found="1"), Promise(text="two", found="2", broken=["here", "there"])]
    text = report.text("Setting.", promises, {"kills": "3"})
    assert "| one | 1 | yes |" in text
    assert "| two | 2 | **no** |" in text
    assert "BROKEN: two\n  here\n  there" in report.details(promises, logs.Findings())
