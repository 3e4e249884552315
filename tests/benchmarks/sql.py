"""Measure what a task costs the database: ``make bench-sql``.

One session claims and completes tasks that do nothing, in two ways: one by one through the contract's functions
(``pgmq.read``, ``pgflow.start_tasks``, ``pgflow.complete_task``: three statements and commits a task), and in sets of
50 through ``django_pgflow.exchange``. Each figure comes from a fresh copy of a database whose history is empty, or a
million finished tasks of the same flow, with and without ``analyze``. Prints a table and, with ``--write``, puts it
into ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import environ
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.benchmarks import __main__ as common
from tests.benchmarks import history
from tests.matrix import servers

MARKS = ("<!-- sql figures -->", "<!-- end of sql figures -->")
MAP, SINGLE = "bench_sql_map", "bench_sql_single"
SET = 50
WAYS = ("one by one", f"in sets of {SET}")
SAMPLE = 500
"""Tasks that are measured one by one at each end of a large map."""

SETTINGS = {
    # Nothing but the measured session may write, so that the figures repeat.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "20GB",
    # A full image of each page, once after each checkpoint, says how often there is a checkpoint.
    "full_page_writes": "off",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """A map of so many elements, several times in a row if it is small, or so many runs of one task."""

    name: str
    flow_slug: str
    size: int
    rounds: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """What claiming and completing a task cost, on the average of a workload, with its share of the run's end."""

    writes: float
    """Rows inserted, updated and deleted."""
    hot_share: float
    """Of the updates, those that touched no index."""
    wal_bytes: float
    cpu_ms: float
    """Time of a processor that the session's server process took: hardly depends on what else the machine does."""
    ms: float
    """As the client sees it."""
    late_ms: float
    """The same for the last tenth, where those before have left their dead rows."""
    start_ms: float
    """Starting the run, by task."""
    end_ms: float
    """The call that ended the run, as a whole."""


def workloads(sizes: list[int], runs: int) -> list[Workload]:
    """Return a map of each size, and many small runs."""
    maps = [Workload(name=f"map of {size:,}", flow_slug=MAP, size=size, rounds=max(1, 1000 // size)) for size in sizes]
    return [*maps, Workload(name=f"{runs:,} runs of one task", flow_slug=SINGLE, size=runs)]


class Client:
    """A worker without handlers, on a session of its own."""

    def __init__(self, conninfo: dict[str, Any], flow_slug: str) -> None:
        from django_pgflow.db.core.current import Core

        self.core = Core()
        self.connection = psycopg.connect(**conninfo, autocommit=True, row_factory=dict_row)
        self.flow_slug = flow_slug
        self.worker_id = uuid4()
        self.held: list[Any] = []
        self.ask(self.core.register_worker(self.worker_id, [flow_slug], "benchmark"))

    def rows(self, statement: str, *params: Any) -> list[dict[str, Any]]:
        """Execute a statement."""
        cursor = self.connection.execute(statement, params or None)
        return cursor.fetchall() if cursor.description else []

    def ask(self, query: Any) -> list[Any]:
        """Execute a query of the package's own."""
        cursor = self.connection.execute(query.sql, query.params)
        return [query.read(row) for row in cursor.fetchall()] if cursor.description else []

    def start(self, size: int) -> None:
        """Start one run of a map, or so many runs of one task."""
        if self.flow_slug == MAP:
            self.rows("select run_id from pgflow.start_flow(%s, %s)", MAP, Jsonb(list(range(size))))
        else:
            self.rows("select count(*) from django_pgflow.start_flows(%s, %s)", SINGLE, [Jsonb({})] * size)

    def one(self) -> int:
        """Claim and complete one task by the contract's functions; return 0 if there is none."""
        read = self.rows("select msg_id from pgmq.read(%s, 30, 1)", self.flow_slug)
        message_ids = [row["msg_id"] for row in read]
        tasks = self.rows("select * from pgflow.start_tasks(%s, %s, %s)", self.flow_slug, message_ids, self.worker_id)
        for task in tasks:
            self.rows(
                "select status from pgflow.complete_task(%s, %s, %s, %s)",
                task["run_id"],
                task["step_slug"],
                task["task_index"],
                Jsonb(task["task_index"]),
            )
        return len(tasks)

    def exchange(self, capacity: int = SET) -> int:
        """Report what the last call claimed, and claim; return how many were reported."""
        from django_pgflow.db.records import TaskReport

        reports = [
            TaskReport(
                run_id=task.run_id,
                step_slug=task.step_slug,
                task_index=task.task_index,
                attempt=task.attempt,
                outcome="completed",
                output=str(task.task_index),
            )
            for task in self.held
        ]
        query = self.core.exchange(self.worker_id, [self.flow_slug], capacity, reports, listening=False)
        self.held = self.ask(query)
        return len(reports)

    def drain(self, quantity: int) -> None:
        """Do so many tasks without measuring."""
        while quantity > 0:
            self.exchange(min(quantity, 1000))
            if not self.held:
                raise RuntimeError(f"{quantity} tasks are missing")
            quantity -= len(self.held)
        self.exchange(0)

    def spent(self) -> Counter[str]:
        """Count what was written so far, and the nanoseconds that the server process ran."""
        self.rows("select pg_stat_force_next_flush()")
        (row,) = self.rows(
            "select pg_current_wal_lsn() - '0/0' as wal_bytes, sum(n_tup_ins + n_tup_upd + n_tup_del) as rows,"
            " sum(n_tup_upd) as updates, sum(n_tup_hot_upd) as hot_updates from pg_stat_user_tables"
            " where schemaname in ('pgflow', 'django_pgflow', 'pgmq')"
        )
        ran = int(Path(f"/proc/{self.connection.info.backend_pid}/schedstat").read_text().split()[0])
        return Counter({"cpu_ns": ran, **{name: int(value) for name, value in row.items()}})


def measure(client: Client, workload: Workload, way: str) -> Figures:
    """Do a workload in one way."""
    call = client.one if way == WAYS[0] else client.exchange
    # A first run lets the session plan its statements.
    client.start(10)
    client.exchange()
    client.exchange()
    client.start(10)
    while client.one():
        pass

    work: Counter[str] = Counter()
    end: Counter[str] = Counter()
    late: list[tuple[int, int]] = []
    start_ns = 0

    def do(quantity: int, spent: Counter[str]) -> list[tuple[int, int]]:
        """Do so many tasks and add up what they cost; return nanoseconds and tasks of each call."""
        before = client.spent()
        calls: list[tuple[int, int]] = []
        while quantity > 0:
            begin = time.perf_counter_ns()
            count = call()
            if not count and calls:
                raise RuntimeError(f"{quantity} tasks are missing")
            calls.append((time.perf_counter_ns() - begin, count))
            quantity -= count
        spent.update(client.spent() - before)
        spent.update(ns=sum(call[0] for call in calls), tasks=sum(call[1] for call in calls))
        return calls

    last = 1 if way == WAYS[0] else SET
    for _ in range(workload.rounds):
        begin = time.perf_counter_ns()
        client.start(workload.size)
        start_ns += time.perf_counter_ns() - begin
        if way == WAYS[0] and workload.size > 2 * SAMPLE:
            do(SAMPLE, work)
            client.drain(workload.size - 2 * SAMPLE)
            late += do(SAMPLE - last, work)
        else:
            calls = do(workload.size - last, work)
            late += calls[-(len(calls) // 10 + 1) :]
        do(last, end)

    def cost(name: str) -> float:
        """Say what one task cost; those that were not measured cost what the others did."""
        return work[name] / work["tasks"] * (1 - last / workload.size) + end[name] / workload.rounds / workload.size

    return Figures(
        writes=cost("rows"),
        hot_share=cost("hot_updates") / cost("updates"),
        wal_bytes=cost("wal_bytes"),
        cpu_ms=cost("cpu_ns") / 1e6,
        ms=cost("ns") / 1e6,
        late_ms=sum(ns for ns, _ in late) / sum(count for _, count in late) / 1e6,
        start_ms=start_ns / workload.rounds / workload.size / 1e6,
        end_ms=end["ns"] / workload.rounds / 1e6,
    )


# Statements


def count_statements(programs: Path) -> dict[str, float]:
    """Count the statements that the server executes for a task, with those within functions, for each way.

    ``pg_stat_statements`` counts them, which the embedded servers lack; the number is the same on all versions.
    """
    settings = ("shared_preload_libraries = 'pg_stat_statements'", "pg_stat_statements.track = 'all'")
    counts = {}
    with servers.cluster(programs, settings) as url:
        conninfo = prepare(url)
        for way in WAYS:
            client = Client(conninfo, MAP)
            client.rows("create extension if not exists pg_stat_statements")
            client.start(4 * SET)
            call = client.one if way == WAYS[0] else client.exchange
            client.drain(SET)
            call()
            client.rows("select pg_stat_statements_reset()")
            done = call()
            (row,) = client.rows(
                "select sum(calls) as calls from pg_stat_statements where query !~ 'pg_stat_statements'"
            )
            counts[way] = int(row["calls"]) / done
            client.exchange(0)
            client.rows("select pgmq.purge_queue(%s)", MAP)
            client.connection.close()
    return counts


# Databases


def conninfo_of(url: str) -> dict[str, Any]:
    """Return what psycopg needs to connect."""
    config = environ.Env.db_url_config(url)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    return {name: config[key] for key, name in names.items() if config.get(key)}


def execute(conninfo: dict[str, Any], *statements: str) -> None:
    """Execute statements, each in a transaction of its own."""
    with psycopg.connect(**conninfo, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def prepare(url: str) -> dict[str, Any]:
    """Install the core and the two flows into a database, and return how to connect to it."""
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity", "0"],
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings",
            "CONCURRENCY": "1",
        },
        check=True,
    )
    conninfo = conninfo_of(url)
    execute(
        conninfo,
        f"select pgflow.create_flow('{MAP}'), pgflow.add_step('{MAP}', 'each', step_type => 'map')",
        f"select pgflow.create_flow('{SINGLE}'), pgflow.add_step('{SINGLE}', 'only')",
    )
    return conninfo


def make_templates(url: str, finished: int) -> dict[str, str]:
    """Make a database for each history, and return their names by what the table calls them."""
    conninfo = prepare(url)
    admin = {**conninfo, "dbname": "postgres" if conninfo["dbname"] != "postgres" else "template1"}
    tables = ("pgflow.runs", "pgflow.step_states", "pgflow.step_tasks", f"pgmq.a_{MAP}", f"pgmq.a_{SINGLE}")
    execute(admin, *(f"alter system set {name} = '{value}'" for name, value in SETTINGS.items()))
    execute(admin, "select pg_reload_conf()", f"create database bench_full template {conninfo['dbname']}")
    with psycopg.connect(**{**conninfo, "dbname": "bench_full"}, autocommit=True) as connection:
        history.insert(connection, MAP, finished // 8)
        history.insert(connection, SINGLE, finished // 8)
        for table in tables:
            # Reading marks the rows as committed, which the first reader would do at the cost of whoever is measured.
            connection.execute(f"select count(*) from {table}")
    execute(admin, "create database bench_analyzed template bench_full strategy file_copy")
    execute({**conninfo, "dbname": "bench_analyzed"}, *(f"analyze {table}" for table in tables))
    return {
        "none": conninfo["dbname"],
        f"{finished:,}": "bench_full",
        f"{finished:,}, analyzed": "bench_analyzed",
    }


@contextlib.contextmanager
def copy_of(template: str, conninfo: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Make a copy of a database, and drop it."""
    admin = {**conninfo, "dbname": "template1"}
    execute(admin, "drop database if exists bench_copy with (force)")
    execute(admin, f"create database bench_copy template {template} strategy file_copy", "checkpoint")
    yield {**conninfo, "dbname": "bench_copy"}
    execute(admin, "drop database bench_copy with (force)")


# The table


def median(figures: list[Figures]) -> Figures:
    """Take the median of each figure."""
    rows = [dataclasses.asdict(one) for one in figures]
    return Figures(**{name: statistics.median(row[name] for row in rows) for name in rows[0]})


def table(results: dict[tuple[str, str, str], Figures], statements: dict[str, float]) -> str:
    """Write the figures as Markdown."""
    titles = [
        "work",
        "way",
        "finished tasks",
        "statements",
        "row writes",
        "HOT",
        "WAL bytes",
        "CPU ms",
        "ms",
        "late ms",
    ]
    titles += ["start ms", "end ms"]
    lines = [f"| {' | '.join(titles)} |", "| --- | --- | --- |" + " ---: |" * (len(titles) - 3)]
    for (workload, way, past), cost in results.items():
        cells = [
            workload,
            way,
            past,
            f"{statements[way]:.1f}" if way in statements else "-",
            f"{cost.writes:.2f}",
            f"{cost.hot_share:.0%}",
            f"{cost.wal_bytes:,.0f}",
            f"{cost.cpu_ms:.3f}",
            f"{cost.ms:.3f}",
            f"{cost.late_ms:.3f}",
            f"{cost.start_ms:.3f}",
            f"{cost.end_ms:,.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def ratios(results: dict[tuple[str, str, str], Figures], small: str, large: str) -> Iterator[str]:
    """Say how much more a task of the largest map costs than one of the smallest, and with a history than without."""
    for (workload, way, past), cost in results.items():
        others = {
            f"{large} / {small}, {way}, history {past}": results[small, way, past] if workload == large else None,
            f"history {past} / none, {workload}, {way}": results[workload, way, "none"] if past != "none" else None,
        }
        for name, other in others.items():
            if other:
                yield f"{name}: ms {cost.ms / other.ms:.2f}, CPU {cost.cpu_ms / other.cpu_ms:.2f}"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench-sql")
    parser.add_argument("--pg", type=int, default=int(os.environ.get("PG") or 18), help="embedded PostgreSQL: 16 or 18")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default="", help="only what has this in its name, as 'map of 100,'")
    parser.add_argument("--small", action="store_true", help="a tenth of all sizes, to try it out")
    parser.add_argument("--write", action="store_true", help=f"put the table into {common.DOCUMENT.name}")
    arguments = parser.parse_args()
    scale = 10 if arguments.small else 1
    work = workloads([100, 10_000 // scale, 100_000 // scale], 10_000 // scale)
    figures: dict[tuple[str, str, str], list[Figures]] = {}
    statements: dict[str, float] = {}
    try:
        statements = count_statements(servers.debian_bin(15) or servers.npm_bin(17))
    except servers.CannotBeHad as reason:
        print(f"Statements are not counted: {reason}")
    with common.server(arguments.pg):
        url = os.environ["DATABASE_URL"]
        conninfo = conninfo_of(url)
        templates = make_templates(url, 1_000_000 // scale)
        for number in range(arguments.repeat):
            for past, template in templates.items():
                for workload, way in itertools.product(work, WAYS):
                    if arguments.only not in f"{workload.name}, {way}, history {past}":
                        continue
                    with copy_of(template, conninfo) as database:
                        client = Client(database, workload.flow_slug)
                        cost = measure(client, workload, way)
                        client.connection.close()
                    print(f"{number + 1}: {workload.name}, {way}, history {past}: {cost}", flush=True)
                    figures.setdefault((workload.name, way, past), []).append(cost)
        server_version = psycopg.connect(**conninfo).info.server_version // 10000
    results = {
        key: median(some) for key, some in sorted(figures.items(), key=lambda item: order(item[0], work, templates))
    }
    text = (
        f"PostgreSQL {server_version}, fsync on, {os.cpu_count()} cores shared by server and client; "
        f"medians of {arguments.repeat}.\n\n{table(results, statements)}\n"
    )
    print(f"\n{text}")
    print("\n".join(ratios(results, work[0].name, work[-2].name)))
    if arguments.write:
        before, rest = common.DOCUMENT.read_text().split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        common.DOCUMENT.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{after}")


def order(key: tuple[str, str, str], work: list[Workload], templates: dict[str, str]) -> tuple[int, int, int]:
    """Sort as the lists stand."""
    names = [workload.name for workload in work]
    return names.index(key[0]), WAYS.index(key[1]), list(templates).index(key[2])


if __name__ == "__main__":
    main()
