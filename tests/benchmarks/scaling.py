"""Measure what workers and history cost the database besides the tasks: ``make bench-scaling``.

On an embedded PostgreSQL: what an idle worker asks, what keeps workers alive, what a wake-up costs all who listen,
what long queues and many workers make of the searches for lost tasks, how large finished work is, what pruning takes.
Costs are the time of processors that the server's processes took, medians of several calls, so they hardly depend on
what else the machine does. Prints a table and, with ``--write``, puts it into ``docs/explanation/scaling.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from django_pgflow import maintenance
from django_pgflow.db.core.current import Core
from tests.benchmarks import __main__ as common
from tests.benchmarks import history
from tests.benchmarks.sql import SINGLE, Client, conninfo_of, execute, prepare

DOCUMENT = common.ROOT / "docs" / "explanation" / "scaling.md"
MARKS = ("<!-- scaling figures -->", "<!-- end of scaling figures -->")
FLOWS = [f"bench_scaling_{number}" for number in range(30)]
TABLES = (
    "pgflow.runs",
    "pgflow.step_states",
    "pgflow.step_tasks",
    f"pgmq.q_{SINGLE}",
    f"pgmq.a_{SINGLE}",
)

Row = tuple[str, str]


def ran(pids: Sequence[int]) -> int:
    """Return the nanoseconds that processes ran."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)


def cost(call: Callable[[], Any], pids: Sequence[int], times: int = 30) -> str:
    """Return the milliseconds of a processor that one call takes in these processes: the median."""
    figures = []
    for number in range(times + times // 5):
        before = ran(pids)
        call()
        if number >= times // 5:  # the first ones let the session plan its statements
            figures.append((ran(pids) - before) / 1e6)
    return f"{statistics.median(figures):,.2f} ms"


# -- workers ----------------------------------------------------------------------------------------------------------


def idle(client: Client) -> Iterator[Row]:
    """Look at empty queues, and give a sign of life."""
    pids = [client.connection.info.backend_pid]
    core = Core()
    for count in (1, 10, 30):
        slugs = FLOWS[:count]
        yield (
            f"`exchange` that finds nothing in {count} queue{'s' * (count > 1)}",
            cost(lambda slugs=slugs: client.ask(core.exchange(client.worker_id, slugs, 10, [])), pids),
        )
    client.rows("delete from django_pgflow.waiting_workers")
    yield "heartbeat", cost(lambda: client.ask(core.heartbeat(client.worker_id)), pids)


def many_workers(client: Client) -> Iterator[Row]:
    """Look after lost workers, of whom all live; then with many that stopped long ago."""
    pids = [client.connection.info.backend_pid]
    core = Core()
    with psycopg.connect(**conninfo_of(os.environ["DATABASE_URL"]), autocommit=True) as locks:
        known = 0
        for count in (10, 100, 1_000):
            register(locks, count - known, alive=True)
            known = count
            yield (
                f"look for lost workers, {count:,} alive",
                cost(lambda: client.ask(core.requeue_lost_tasks(client.worker_id)), pids),
            )
        register(locks, 10_000, alive=False)
        yield (
            "look for lost workers, 1,000 alive, 10,000 stopped and not pruned",
            cost(lambda: client.ask(core.requeue_lost_tasks(client.worker_id)), pids),
        )
        locks.execute("delete from pgflow.workers where worker_id <> %s", [client.worker_id])


def register(locks: psycopg.Connection[Any], count: int, *, alive: bool) -> None:
    """Write rows of workers; those that live have their locks, all in one session."""
    locks.execute(
        """
        with new as (
          insert into pgflow.workers (worker_id, queue_name, function_name, stopped_at)
          select gen_random_uuid(), %(flow)s, 'benchmark', case when %(alive)s then null else now() end
          from generate_series(1, %(count)s)
          returning worker_id
        )
        insert into django_pgflow.worker_details (worker_id, hostname, pid, version, concurrency, holds_lock, silence)
        select n.worker_id, 'benchmark', 1, '0', 10, true, 60 from new n
        """,
        {"flow": SINGLE, "count": count, "alive": alive},
    )
    locks.execute(
        "select pg_advisory_lock(django_pgflow.worker_lock(w.worker_id)) from pgflow.workers w"
        " join django_pgflow.worker_details d using (worker_id)"
        " where w.stopped_at is null and not exists (select from pg_locks l where l.locktype = 'advisory'"
        "   and l.pid = pg_backend_pid()"
        "   and (l.classid::bigint << 32 | l.objid::bigint) = django_pgflow.worker_lock(w.worker_id))"
    )


def wakeups(client: Client, conninfo: dict[str, Any]) -> Iterator[Row]:
    """Commit with a notification while others listen, whether to this channel or to another one."""
    for count in (0, 10, 100):
        with contextlib.ExitStack() as stack:
            listeners = [stack.enter_context(psycopg.connect(**conninfo, autocommit=True)) for _ in range(count)]
            for listener in listeners:
                listener.execute("listen pgflow_queued")
            pids = [one.info.backend_pid for one in [client.connection, *listeners]]

            def notify() -> None:
                client.rows("select pg_notify('pgflow_queued', 'nothing')")
                time.sleep(0.05)  # until all have heard it

            yield f"a notification, {count} sessions listening, in all their processes", cost(notify, pids)


def memory(client: Client) -> Iterator[Row]:
    """Say how much memory a session takes that has done some exchanges."""
    text = Path(f"/proc/{client.connection.info.backend_pid}/smaps_rollup").read_text()
    kilobytes = sum(
        int(line.split()[1]) for line in text.splitlines() if line.startswith(("Private_Clean", "Private_Dirty"))
    )
    yield "memory of its own of a worker's session", f"{kilobytes / 1024:.0f} MB"


# -- queues -----------------------------------------------------------------------------------------------------------


def long_queues(client: Client, quantity: int) -> Iterator[Row]:
    """Search for stalled tasks, and for a worker's own, while many are queued and few are in workers' hands."""
    pids = [client.connection.info.backend_pid]
    core = Core()
    queued = 0
    for size in (quantity // 100, quantity):
        for done in range(queued, size, 10_000):
            client.start(min(10_000, size - done))
        queued = size
        client.rows(f"vacuum analyze pgmq.q_{SINGLE}")
        yield f"sweep, {size:,} tasks queued", cost(lambda: client.ask(maintenance.sweep(core)), pids, times=5)
    yield (
        f"`exchange` that claims 10 of {size:,} tasks",
        cost(lambda: client.ask(core.exchange(client.worker_id, [SINGLE], 10, [], listening=False)), pids),
    )
    other = uuid4()
    client.ask(core.register_worker(other, [SINGLE], "benchmark"))
    for size in (1_000, 10_000):
        held = len(client.ask(core.held_tasks(client.worker_id, [SINGLE])))
        while held < size:
            held += len(
                client.ask(core.exchange(client.worker_id, [SINGLE], min(size - held, 1000), [], listening=False))
            )
        yield (
            f"comparison of a worker, {quantity:,} tasks queued, {held:,} in the hands of others",
            cost(lambda: client.ask(core.held_tasks(other, [SINGLE])), pids, times=10),
        )
    yield (
        f"sweep, {quantity:,} tasks queued, {held:,} in the hands of workers",
        cost(lambda: client.ask(maintenance.sweep(core)), pids, times=5),
    )


# -- history ----------------------------------------------------------------------------------------------------------


def sizes(client: Client, quantity: int) -> Iterator[Row]:
    """Do so many runs of one task, and say what they take on the disk."""
    before = on_disk(client)
    for _ in range(quantity // 2_000):
        client.start(2_000)
        client.drain(2_000)
    client.rows(f"vacuum {', '.join(TABLES)}")
    total = 0.0
    for table, size in on_disk(client).items():
        total += (size - before[table]) / quantity
        if size > before[table] and not table.startswith("pgmq.q_"):
            name = "its message's archive" if table.startswith("pgmq.a_") else f"`{table}`"
            yield f"a finished run of one task, {name}, with indexes", f"{(size - before[table]) / quantity:,.0f} bytes"
    yield "a finished run of one task, all tables", f"{total:,.0f} bytes"


def on_disk(client: Client) -> dict[str, int]:
    """Return the size of each table with its indexes."""
    query = "select pg_total_relation_size(%s::regclass) as size"
    return {table: client.rows(query, table)[0]["size"] for table in TABLES}


def pruning(client: Client, quantity: int) -> Iterator[Row]:
    """Prune runs behind which as many stay, and workers."""
    pids = [client.connection.info.backend_pid]
    with psycopg.connect(**conninfo_of(os.environ["DATABASE_URL"])) as connection:
        history.insert(connection, FLOWS[0].lower(), 2 * quantity, tasks=1)
        connection.execute(
            sql.SQL(
                "update pgflow.runs set started_at = started_at - interval '90 days',"
                " completed_at = completed_at - interval '90 days'"
                " where run_id in (select run_id from pgflow.runs where flow_slug = {} limit {})"
            ).format(FLOWS[0], quantity)
        )
    client.rows("vacuum analyze")

    def prune() -> None:
        client.rows("select pgflow.prune_data_older_than('60 days')")

    yield f"`prune_data_older_than` that deletes {quantity:,} of {2 * quantity:,} runs", cost(prune, pids, times=1)
    yield f"the same that finds nothing to delete among {quantity:,}", cost(prune, pids, times=3)
    client.rows(
        "insert into pgflow.workers (worker_id, queue_name, function_name, started_at, last_heartbeat_at)"
        " select gen_random_uuid(), 'x', 'benchmark', now() - interval '90 days', now() - interval '90 days'"
        " from generate_series(1, 10)"
    )
    yield f"the same that deletes 10 old workers, with {quantity:,} tasks kept", cost(prune, pids, times=1)


# -- the table --------------------------------------------------------------------------------------------------------


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench-scaling")
    parser.add_argument("--pg", type=int, default=int(os.environ.get("PG") or 18), help="embedded PostgreSQL: 16 or 18")
    parser.add_argument("--small", action="store_true", help="a hundredth of the sizes, to try it out")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.name}")
    arguments = parser.parse_args()
    scale = 100 if arguments.small else 1
    rows: list[Row] = []
    with common.server(arguments.pg):
        conninfo = prepare(os.environ["DATABASE_URL"])
        execute(
            conninfo, *(f"select pgflow.create_flow('{slug}'), pgflow.add_step('{slug}', 'each')" for slug in FLOWS)
        )
        client = Client(conninfo, SINGLE)
        client.rows("set max_parallel_workers_per_gather = 0")  # their time would not be counted
        for part in (
            idle(client),
            many_workers(client),
            wakeups(client, conninfo),
            memory(client),
            sizes(client, 100_000 // scale),
            pruning(client, 100_000 // scale),
            long_queues(client, 1_000_000 // scale),
        ):
            for row in part:
                print(": ".join(row), flush=True)
                rows.append(row)
        version = client.connection.info.server_version // 10000
    lines = ["| what | cost |", "| --- | ---: |", *(f"| {what} | {value} |" for what, value in rows)]
    text = f"PostgreSQL {version}; milliseconds of a processor in the server; `make bench-scaling`.\n\n" + "\n".join(
        lines
    )
    print(f"\n{text}")
    if arguments.write:
        before, rest = DOCUMENT.read_text().split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        DOCUMENT.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")


if __name__ == "__main__":
    main()
