"""Measure one worker process on an embedded PostgreSQL with fsync on: ``make bench``.

Prints a table and, with ``--write``, puts it into ``docs/benchmarks.md``. Every figure is the median of ``--repeat``
runs; the range stands beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from example_project.embedded_postgres import EmbeddedPostgres

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
MARKS = ("<!-- figures -->", "<!-- end of figures -->")


@contextlib.contextmanager
def server(version: int) -> Iterator[None]:
    """Start a server and migrate, or use ``DATABASE_URL``."""
    with contextlib.ExitStack() as stack:
        if not os.environ.get("DATABASE_URL"):
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="pgflow-bench-", ignore_cleanup_errors=True)
            )
            os.chmod(folder, 0o755)
            postgres = EmbeddedPostgres(Path(folder) / "data", version=version)
            postgres.start()
            stack.callback(postgres.stop)
            os.environ["DATABASE_URL"] = postgres.url()
        yield


@contextlib.contextmanager
def worker() -> Iterator[None]:
    """Run a worker process."""
    process = subprocess.Popen([sys.executable, "-m", "django", "runpgflowworker", "--grace", "1"])
    try:
        time.sleep(2.0)  # it has connected by then; the benchmarks begin with a warm-up anyway
        yield
    finally:
        process.terminate()
        process.wait(20)


def configure(concurrency: int | None) -> None:
    """Choose the settings; without a concurrency the worker takes its own."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
    if concurrency:
        os.environ["CONCURRENCY"] = str(concurrency)


def prepare() -> None:
    """Set up Django, and the database."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def wait_until_done(runs: Sequence[Any]) -> None:
    """Wait until runs have ended; looks at the last one first, since that is cheap."""
    from django.db import connection

    newest = runs[-1]
    with connection.cursor() as cursor:
        while True:
            cursor.execute("select status from pgflow.runs where run_id = %s", [newest.run_id])
            if cursor.fetchone()[0] != "started":
                break
            time.sleep(0.002)
        while True:
            cursor.execute(
                "select exists (select from pgflow.runs where flow_slug = %s and status = 'started')",
                [newest.flow_slug],
            )
            if not cursor.fetchone()[0]:
                return
            time.sleep(0.002)


def wait_for_all() -> None:
    """Wait until no run is left; looks often, but at a queue that is cheap to look at."""
    from django.db import connection

    with connection.cursor() as cursor:
        while True:
            cursor.execute("select exists (select from pgflow.runs where completed_at is null)")
            if not cursor.fetchone()[0]:
                return
            time.sleep(0.005)


def timed(action: Callable[[], Any]) -> float:
    """Return the seconds that an action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def measure(repeat: int) -> Iterator[tuple[str, str, list[float]]]:
    """Yield each benchmark's name, unit and figures."""
    from tests.benchmarks import flows

    def one_by_one(count: int) -> None:
        for _ in range(count):
            flows.bench_single.start()

    def to_the_end(start: Callable[[], Any]) -> float:
        def both() -> None:
            start()
            wait_for_all()

        return timed(both)

    # Without a worker: what starting costs by itself.
    yield "runs started, one commit each", "runs/s", [1000 / timed(lambda: one_by_one(1000)) for _ in range(repeat)]
    yield (
        "runs started by bulk_start of 5,000",
        "runs/s",
        [5000 / timed(lambda: flows.bench_single.bulk_start({} for _ in range(5000))) for _ in range(repeat)],
    )
    with worker():
        wait_for_all()
        for flow, kind in ((flows.bench_single, "async def"), (flows.bench_single_sync, "def")):
            yield (
                f"single-step tasks, 5,000 queued at once, {kind}",
                "tasks/s",
                [5000 / to_the_end(lambda flow=flow: flow.bulk_start({} for _ in range(5000))) for _ in range(repeat)],
            )
        for size in (1000, 5000):
            yield (
                f"map of {size:,} with a collector",
                "tasks/s",
                [
                    (size + 1) / to_the_end(lambda size=size: flows.bench_map.start(list(range(size))))
                    for _ in range(repeat)
                ],
            )
        medians, tails = [], []
        for _ in range(repeat):
            seconds = []
            for _ in range(100):
                time.sleep(0.01)
                seconds.append(timed(lambda: wait_for(flows.bench_chain.start())))
            cuts = statistics.quantiles(seconds, n=20)
            medians.append(cuts[9] * 1000)
            tails.append(cuts[18] * 1000)
        yield "chain of five, idle worker, p50", "ms", medians
        yield "chain of five, idle worker, p95", "ms", tails


def wait_for(run: Any) -> None:
    """Wait for one run without sleeping long."""
    while run.status == "started":
        time.sleep(0.0005)
        run.refresh_from_db(fields=["status"])


def table(rows: list[tuple[str, str, list[float]]]) -> str:
    """Write the figures as Markdown."""
    lines = ["| workload | median | range | unit |", "| --- | ---: | ---: | --- |"]
    for name, unit, figures in rows:
        digits = 1 if unit == "ms" else 0
        low, middle, high = (
            f"{value:,.{digits}f}" for value in (min(figures), statistics.median(figures), max(figures))
        )
        lines.append(f"| {name} | {middle} | {low} to {high} | {unit} |")
    return "\n".join(lines)


def describe(repeat: int) -> str:
    """Say on what the figures were measured."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select current_setting('server_version'), current_setting('fsync')")
        version, fsync = cursor.fetchone()
    return (
        f"PostgreSQL {version.split()[0]}, fsync {fsync}; Python {platform.python_version()}; {os.cpu_count()} cores, "
        "shared by server, worker and client; one worker process, "
        f"concurrency {os.environ.get('CONCURRENCY', 'as by default')}; "
        f"handlers that do nothing; medians of {repeat}."
    )


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--pg", type=int, default=int(os.environ.get("PG") or 18), help="embedded PostgreSQL: 16 or 18")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--concurrency", type=int, help="default: the worker's own")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.name}")
    arguments = parser.parse_args()
    configure(arguments.concurrency)
    with server(arguments.pg):
        prepare()
        rows = []
        for row in measure(arguments.repeat):
            print(f"{row[0]}: {', '.join(f'{figure:,.1f}' for figure in row[2])} {row[1]}", flush=True)
            rows.append(row)
        text = f"{describe(arguments.repeat)}\n\n{table(rows)}\n"
    print(f"\n{text}")
    if arguments.write:
        before, rest = DOCUMENT.read_text().split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        DOCUMENT.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{after}")


if __name__ == "__main__":
    main()
