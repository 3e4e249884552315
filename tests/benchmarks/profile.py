"""Where a task's time goes in one worker process under load: ``make bench-profile``.

A worker process with the default options executes tasks that do nothing, queued before it may see them, three times:

- *plain*: wall time, and the processor time of the worker's process and of each of its sessions' server processes;
- *sampled*: where the worker's main thread is, looked at each few milliseconds of processor time; what C code
  takes counts for the Python function that called it; groups are by the innermost frame whose file belongs to one;
- *counted* (with ``--functions``): cProfile, which slows Python's small functions down, for its counts of calls.

The server counts the calls of functions in PL/pgSQL in all of them (``track_functions``), by which the sets are known.
Only public entries are used: the command ``runpgflowworker`` and ``Flow.bulk_start``.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import json
import os
import pstats
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from tests.benchmarks import __main__ as common

BEGIN, END = signal.SIGUSR1, signal.SIGUSR2
INTERVAL = 0.001
"""Seconds of processor time between two samples; the kernel may round up to its tick."""
SERVER_PROCESSES = """
select pid, application_name from pg_stat_activity
where application_name like 'django-pgflow%' and backend_type = 'client backend'
"""
FUNCTIONS = """
select schemaname || '.' || funcname as name, calls, total_time, self_time
from pg_stat_user_functions where schemaname in ('pgflow', 'django_pgflow', 'pgmq') order by self_time desc
"""

GROUPS: list[tuple[str, tuple[str, ...]]] = [
    ("JSON", ("/json/", "/orjson", "/dsl/codec.py")),
    ("psycopg (client side of the exchange)", ("/psycopg/", "/psycopg_binary/", "/psycopg_c/")),
    ("rows to records, reports to parameters", ("/django_pgflow/db/",)),
    ("task making", ("/worker/task.py", "/dsl/context.py", "/django/utils/timezone.py", "/dataclasses.py")),
    (
        "handler call",
        (
            "/worker/executors",
            "/worker/calling.py",
            "/worker/connections.py",
            "/dsl/",
            "/tests/benchmarks/flows.py",
            "/asgiref/",
        ),
    ),
    ("slots", ("/worker/slots.py",)),
    ("logging and signals", ("/logging/", "/django/dispatch/", "/worker/announce.py", "/worker/logs.py", "/queue.py")),
    ("event loop", ("/asyncio/", "/selectors.py", "/uvloop/")),
    ("the worker's loop", ("/django_pgflow/worker/",)),
]


# -- in the worker's process -----------------------------------------------------------------------------------------


class Sampler:
    """Counts the innermost functions of the main thread, and the groups that they belong to."""

    def __init__(self) -> None:
        self._groups: Counter[str] = Counter()
        self._functions: Counter[str] = Counter()

    def begin(self) -> None:
        """Look at each so many seconds of processor time."""
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def end(self) -> dict[str, Any]:
        """Stop, and return what was counted."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        return {"groups": self._groups, "functions": self._functions}

    def _look(self, number: int, frame: FrameType | None) -> None:
        if frame is not None:
            self._functions[f"{short(frame.f_code.co_filename)}:{frame.f_code.co_name}"] += 1
            self._groups[group_of(frame)] += 1


class Counting:
    """cProfile of the main thread."""

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def begin(self) -> None:
        """Begin to count."""
        self._profile.enable()

    def end(self) -> dict[str, Any]:
        """Stop, and return calls and seconds of each function."""
        self._profile.disable()
        stats = pstats.Stats(self._profile).stats  # type: ignore[attr-defined]
        return {f"{short(file)}:{name}": [calls, own] for (file, _, name), (_, calls, own, *_) in stats.items()}


def group_of(frame: FrameType | None) -> str:
    """Return the group of the innermost frame that has one."""
    while frame is not None:
        for name, parts in GROUPS:
            if any(part in frame.f_code.co_filename for part in parts):
                return name
        frame = frame.f_back
    return "other"


def short(file: str) -> str:
    """Return the last two parts of a path."""
    return "/".join(file.split("/")[-2:])


def run_worker(way: str, output: Path) -> None:
    """Be the worker; observe from one signal to the other, and write down what was seen."""
    import django
    from django.core.management import call_command

    django.setup()
    ways: dict[str, Callable[[], Sampler | Counting]] = {"sampled": Sampler, "counted": Counting}
    observer = ways[way]() if way in ways else None

    def begin(number: int, frame: FrameType | None) -> None:
        if observer:
            observer.begin()

    def end(number: int, frame: FrameType | None) -> None:
        output.with_suffix(".part").write_text(json.dumps(observer.end() if observer else {}))
        output.with_suffix(".part").rename(output)

    signal.signal(BEGIN, begin)
    signal.signal(END, end)
    call_command("runpgflowworker", grace=1.0)


# -- in the process that measures ------------------------------------------------------------------------------------


def ran(pid: int, thread: int | None = None) -> float:
    """Return the seconds of processor time that a process, or one of its threads, has had."""
    folder = Path(f"/proc/{pid}") if thread is None else Path(f"/proc/{pid}/task/{thread}")
    if thread is not None:
        return int((folder / "schedstat").read_text().split()[0]) / 1e9
    return sum(int((task / "schedstat").read_text().split()[0]) / 1e9 for task in (folder / "task").iterdir())


def rows(statement: str) -> list[tuple[Any, ...]]:
    """Execute a statement."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def worker(way: str, output: Path) -> Iterator[int]:
    """Run a worker process, and yield its id once it has its sessions."""
    process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.profile", "--be-the-worker", way, str(output)])
    try:
        deadline = time.monotonic() + 60
        while not rows(SERVER_PROCESSES) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def observe(way: str, flow: Any, inputs: list[Any], tasks: int) -> dict[str, Any]:
    """Let a new worker do these runs, and return what was seen, all by task and in microseconds where it is time."""
    from django.db import transaction

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "seen"
        with worker(way, output) as pid:
            common.wait_until_done(flow.bulk_start([inputs[0]] * 50 if len(inputs) > 1 else [[1, 2]]))
            time.sleep(1.0)
            rows("select pg_stat_reset()")
            sessions = {name: backend for backend, name in rows(SERVER_PROCESSES)}
            with transaction.atomic():
                runs = flow.bulk_start(inputs)
                before = {name: ran(backend) for name, backend in sessions.items()}
                cpu, main_cpu = ran(pid), ran(pid, pid)
                os.kill(pid, BEGIN)
                begin = time.perf_counter()
            common.wait_until_done(runs)
            seconds = time.perf_counter() - begin
            os.kill(pid, END)
            after = {name: ran(backend) for name, backend in sessions.items()}
            cpu, main_cpu = ran(pid) - cpu, ran(pid, pid) - main_cpu
            while not output.exists():
                time.sleep(0.05)
            seen = json.loads(output.read_text())
    time.sleep(0.5)  # the sessions have ended, and what they counted is there
    functions = {name: (calls, total, own) for name, calls, total, own in rows(FUNCTIONS)}
    return {
        "wall": seconds / tasks * 1e6,
        "worker": cpu / tasks * 1e6,
        "worker, other threads": (cpu - main_cpu) / tasks * 1e6,
        "sessions": {name: (after[name] - before[name]) / tasks * 1e6 for name in sessions},
        "functions": functions,
        "seen": seen,
    }


def report(way: str, figures: dict[str, Any], tasks: int) -> None:
    """Print what was seen."""
    print(f"\n== {way}: {1e6 / figures['wall']:,.0f} tasks/s\n")
    print(f"{figures['wall']:9.1f} us/task  wall")
    print(f"{figures['worker']:9.1f} us/task  processor: the worker's process")
    print(f"{figures['worker, other threads']:9.1f} us/task    of it, outside of the main thread")
    for name, value in sorted(figures["sessions"].items()):
        print(f"{value:9.1f} us/task  processor: the server's process of the session {name!r}")
    rest = figures["wall"] - figures["worker"] - sum(figures["sessions"].values())
    print(f"{rest:9.1f} us/task  the rest: commits that wait for the disk, and for a processor")
    calls, total, _ = figures["functions"].get("django_pgflow.exchange", (0, 0.0, 0.0))
    if calls:
        print(
            f"{tasks / calls:9.1f} tasks    in a set; {calls:,d} sets (calls of exchange), "
            f"{total / calls:.3f} ms each in the server"
        )
    seen = figures["seen"]
    if way == "plain":
        print("\n  server, wall time by function in PL/pgSQL, statements inside it included, functions not:")
        # Those that start runs are called once for all of them.
        often = {name: row for name, row in figures["functions"].items() if row[0] > 10}
        for name, (calls, _, own) in list(often.items())[:15]:
            print(f"  {own * 1000 / tasks:9.1f} us/task  {calls / tasks:7.3f} calls/task  {name}")
    elif way == "sampled":
        number = sum(seen["groups"].values()) or 1
        print(f"\n  the worker's main thread, {number} samples:")
        for what in ("groups", "functions"):
            for name, count in Counter(seen[what]).most_common(20):
                print(f"  {count / number:6.1%}  {count / number * figures['worker']:7.1f} us/task  {name}")
            print()
    else:
        print("\n  functions, with what cProfile itself costs:")
        for name, (calls, own) in sorted(seen.items(), key=lambda item: -item[1][1])[:40]:
            print(f"  {own / tasks * 1e6:7.1f} us/task  {calls / tasks:7.2f} calls/task  {name}")


def main() -> None:
    """Parse, observe, print."""
    if sys.argv[1:2] == ["--be-the-worker"]:
        run_worker(sys.argv[2], Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(prog="make bench-profile")
    parser.add_argument("--pg", type=int, default=int(os.environ.get("PG") or 18), help="embedded PostgreSQL: 16 or 18")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--map", action="store_true", help="tasks of one map step instead of runs of one step each")
    parser.add_argument("--sync", action="store_true", help="def handlers, in threads")
    parser.add_argument("--functions", action="store_true", help="count calls by cProfile, too")
    parser.add_argument("--concurrency", type=int, help="default: the worker's own")
    arguments = parser.parse_args()
    common.configure(arguments.concurrency)
    with common.server(arguments.pg):
        common.prepare()
        from tests.benchmarks import flows

        rows("alter system set track_functions = 'pl'")
        rows("select pg_reload_conf()")
        flow: Any = flows.bench_single_sync if arguments.sync else flows.bench_single
        inputs: list[Any] = [{}] * arguments.tasks
        if arguments.map:
            flow, inputs = flows.bench_map, [list(range(arguments.tasks))]
        for way in ("plain", "sampled", *(["counted"] if arguments.functions else [])):
            report(way, observe(way, flow, inputs, arguments.tasks), arguments.tasks)


if __name__ == "__main__":
    main()
