"""Measure on an embedded PostgreSQL with fsync on: ``make bench``, and ``make bench-peers`` to compare with others.

Each library is measured by a driver (``ours.py``, ``limit.py``, ``peers/*.py``; see ``protocol.py``) in a process, a
virtual environment (``.bench/``) and a database of its own, all on one server, one after the other, and that as often
as ``--repeat`` says. Prints tables of the medians and, with ``--write``, puts them into ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from example_project.embedded_postgres import EmbeddedPostgres
from tests.benchmarks import limit, protocol

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
MARKS = ("<!-- figures -->", "<!-- end of figures -->")
PEER_MARKS = ("<!-- peer figures -->", "<!-- end of peer figures -->")
CACHE = ROOT / ".bench"
OURS, LIMIT = "django_pgflow", "limit"
PEERS = sorted(path.stem for path in (Path(__file__).parent / "peers").glob("[a-z]*.py"))


@dataclass(kw_only=True)
class Result:
    """What a driver said in all its rounds."""

    about: str = ""
    versions: str = ""
    figures: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


# -- the server and the databases -------------------------------------------------------------------------------------


@contextlib.contextmanager
def server(version: int) -> Iterator[None]:
    """Start a server, or use ``DATABASE_URL``."""
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


@contextlib.contextmanager
def database(name: str) -> Iterator[dict[str, str]]:
    """Make a database, yield the variables by which a driver finds it, and drop it."""
    import psycopg
    from psycopg import sql

    socket = os.environ["DATABASE_URL"].split("@/", 1)[1].rpartition("/")[0]
    host = f"/{socket.lstrip('/')}"
    with psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        # What the one before has left in memory is not written while this one is measured.
        connection.execute("checkpoint")
        yield {"BENCH_SOCKET": host, "BENCH_DATABASE": name}
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


# -- the drivers ------------------------------------------------------------------------------------------------------


def requirements(extra: str) -> list[str]:
    """Return what an extra of pyproject.toml installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return list(project["optional-dependencies"][extra])


def extra_of(peer: str) -> str:
    """Return the extra of a peer."""
    return f"bench-{peer.replace('_', '-')}"


def python_for(name: str) -> str:
    """Return the interpreter of a driver, after making a virtual environment if it is a peer's."""
    if name in (OURS, LIMIT):
        return sys.executable
    folder = CACHE / name
    wanted = "\n".join(requirements(extra_of(name)))
    stamp = folder / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing {name} in {folder.relative_to(ROOT)} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", "--upgrade", *wanted.split("\n")], check=True)
        stamp.write_text(wanted)
    return str(folder / "bin" / "python")


def module_of(name: str) -> str:
    """Return the driver's module."""
    return {OURS: "tests.benchmarks.ours", LIMIT: "tests.benchmarks.limit"}.get(name, f"tests.benchmarks.peers.{name}")


def drive(name: str, number: int, result: Result) -> None:
    """Run a driver once, and add what it says to its result."""
    log = CACHE / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    # Django's settings are ours; Celery, too, looks for them.
    environment = {
        key: value for key, value in os.environ.items() if name in (OURS, LIMIT) or key != "DJANGO_SETTINGS_MODULE"
    }
    with database(f"bench_{name}_{number}") as variables:
        process = subprocess.Popen(
            [python_for(name), "-m", "tests.benchmarks.drive", module_of(name)],
            cwd=ROOT,
            env={**environment, **variables, "BENCH_LOG": str(log)},
            stdout=subprocess.PIPE,
            stderr=log.open("a"),
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("{"):
                continue  # what a library has to say
            said = json.loads(line)
            if "workload" in said:
                result.figures.setdefault(said["workload"], []).append(said["figure"])
                print(f"  {said['workload']}: {said['figure']:,.1f}", flush=True)
            elif "note" in said:
                result.notes.append(said["note"])
            else:
                result.about, result.versions = said["about"], said["versions"]
        if process.wait():
            result.notes.append(f"the driver ended with code {process.returncode}")
            print(f"  {'; '.join(result.notes)}; see {log.relative_to(ROOT)}", flush=True)


# -- tables -----------------------------------------------------------------------------------------------------------


def number(value: float, unit: str) -> str:
    """Write a figure."""
    return f"{value:,.2f}" if unit == "times" else f"{value:,.1f}" if unit == "ms" else f"{value:,.0f}"


def middle(result: Result, workload: str) -> float | None:
    """Return the median of a workload, None if there is no figure."""
    figures = result.figures.get(workload)
    return statistics.median(figures) if figures else None


def own_table(result: Result, workloads: list[protocol.Workload]) -> str:
    """Write the figures of one driver as Markdown, with its ranges."""
    lines = ["| workload | median | range | target | unit |", "| --- | ---: | ---: | ---: | --- |"]
    for workload in workloads:
        if figures := result.figures.get(workload.name):
            low, median, high = (
                number(value, workload.unit) for value in (min(figures), statistics.median(figures), max(figures))
            )
            lines.append(f"| {workload.title} | {median} | {low} to {high} | {workload.target} | {workload.unit} |")
    return "\n".join(lines)


def peer_table(results: dict[str, Result]) -> str:
    """Write medians beside each other, each peer's with the ratio ours / the peer's."""
    peers = [name for name in results if name not in (OURS, LIMIT)]
    lines = [
        "| workload | target | django-pgflow | " + " | ".join(title(name) for name in peers) + " |",
        "| --- | ---: | ---: |" + " ---: |" * len(peers),
    ]
    for workload in protocol.WORKLOADS:
        ours = middle(results[OURS], workload.name)
        if ours is None:
            continue
        cells = []
        for name in peers:
            theirs = middle(results[name], workload.name)
            cells.append("-" if theirs is None else f"{number(theirs, workload.unit)} ({ours / theirs:.2g})")
        cells = [f"{workload.title}, {workload.unit}", workload.target, number(ours, workload.unit), *cells]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for name in (OURS, *peers):
        result = results[name]
        notes = f" ({'; '.join(sorted(set(result.notes)))})" if result.notes else ""
        lines.append(f"- **{title(name)}** ({result.versions}): {result.about}.{notes}")
    return "\n".join(lines)


def title(name: str) -> str:
    """Return what a driver is called in a table."""
    return name.replace("_", "-")


def describe(repeat: int, scale: float) -> str:
    """Say on what the figures were measured."""
    import psycopg

    with database("bench_describe") as variables:
        host, name = variables["BENCH_SOCKET"], variables["BENCH_DATABASE"]
        with psycopg.connect(host=host, dbname=name, user="postgres") as connection:
            row = connection.execute("select current_setting('server_version'), current_setting('fsync')").fetchone()
    assert row is not None
    small = f"; sizes times {scale:g}, which says little" if scale != 1 else ""
    return (
        f"PostgreSQL {row[0].split()[0]}, fsync {row[1]}; Python {platform.python_version()}; {os.cpu_count()} cores, "
        f"shared by server, workers and client; concurrency {os.environ.get('CONCURRENCY', 'as by default')}; "
        f"handlers that do nothing; medians of {repeat}{small}."
    )


def write(marks: tuple[str, str], text: str) -> None:
    """Put a text between its marks in the documentation."""
    before, rest = DOCUMENT.read_text().split(marks[0])
    DOCUMENT.write_text(f"{before}{marks[0]}\n{text}{marks[1]}{rest.split(marks[1])[1]}")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--pg", type=int, default=int(os.environ.get("PG") or 18), help="embedded PostgreSQL: 16 or 18")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes; to try the drivers, not to measure")
    parser.add_argument("--concurrency", type=int, help="ours; default: the worker's own")
    parser.add_argument(
        "--peers", nargs="*", choices=PEERS, help=f"compare with these; without names, with all: {PEERS}"
    )
    parser.add_argument("--write", action="store_true", help=f"put the tables into {DOCUMENT.name}")
    arguments = parser.parse_args()
    configure(arguments.concurrency)
    os.environ["BENCH_SCALE"] = str(arguments.scale)
    peers = [] if arguments.peers is None else arguments.peers or PEERS
    if unknown := set(peers) - set(PEERS):
        parser.error(f"no such peer: {', '.join(unknown)}. Choose of: {', '.join(PEERS)}")
    names = [OURS, *peers, LIMIT]
    for name in names:
        python_for(name)
    results = {name: Result() for name in names}
    with server(arguments.pg):
        conditions = describe(arguments.repeat, arguments.scale)
        for round_number in range(1, arguments.repeat + 1):
            for name in names:
                print(f"round {round_number}, {title(name)}", flush=True)
                drive(name, round_number, results[name])
    tables = {MARKS: f"{own_table(results[OURS], protocol.WORKLOADS)}\n\n{own_table(results[LIMIT], limit.WORKLOADS)}"}
    if peers:
        tables[PEER_MARKS] = peer_table(results)
    for marks, text in tables.items():
        print(f"\n{conditions}\n\n{text}")
        if arguments.write:
            write(marks, f"{conditions}\n\n{text}\n")


if __name__ == "__main__":
    main()
