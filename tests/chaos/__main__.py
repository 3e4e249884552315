"""Kill workers and Postgres under ordinary flows, then check what is promised: ``make chaos``.

Exits with 1 if any promise is broken. The plan of what is killed when, and all that is started, follow from ``--seed``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

from example_project.embedded_postgres import EmbeddedPostgres
from tests.chaos import logs, monkey, report, watch
from tests.chaos.crew import Crew

DRAIN = 180.0
"""Seconds that the runs get to end when the harm is over."""


def main() -> int:
    """Parse, do harm, report."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=random.randrange(100_000), help="default: another one each time")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rate", type=float, default=5.0, help="runs started a second")
    parser.add_argument("--pg", type=int, default=int(os.environ.get("PG") or 18), help="embedded PostgreSQL: 16 or 18")
    parser.add_argument("--keep", action="store_true", help="keep logs and database in any case")
    parser.add_argument("--write", action="store_true", help=f"put the report into {report.DOCUMENT.name}")
    arguments = parser.parse_args()
    print(f"Chaos for {arguments.minutes:g} minutes, seed {arguments.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="pgflow-chaos-"))
    folder.chmod(0o755)
    kept = False
    try:
        with server(folder, arguments.pg) as postgres:
            kept = run(arguments, folder, postgres)
    finally:
        if kept and not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"Logs and database are kept in {folder}")
    return 0 if kept else 1


@contextlib.contextmanager
def server(folder: Path, version: int) -> Iterator[EmbeddedPostgres]:
    """Start a server, and migrate. Commits are durable: it will be stopped as by a crash."""
    postgres = EmbeddedPostgres(folder / "data", version=version)
    postgres.start()
    try:
        os.environ["DATABASE_URL"] = postgres.url()
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.chaos.settings"
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield postgres
    finally:
        postgres.stop()


def diary(folder: Path) -> Callable[[str], None]:
    """Return what prints a line with the time, and keeps it."""
    begin = time.monotonic()

    def tell(line: str) -> None:
        line = f"{time.strftime('%H:%M:%S')} {time.monotonic() - begin:7.1f} {line}"
        print(line, flush=True)
        with (folder / "diary.log").open("a") as file:
            file.write(f"{line}\n")

    return tell


def run(arguments: argparse.Namespace, folder: Path, postgres: EmbeddedPostgres) -> bool:
    """Do harm, let the runs end, and report. Returns whether all promises were kept."""
    from django.db import connection

    from tests.chaos import answers, effects, promises

    effects.create_tables(answers.WEIGHTS)
    tell = diary(folder)
    dice = random.Random(f"crew {arguments.seed}")
    conninfo = f"host={connection.settings_dict['HOST']} user=postgres dbname=postgres connect_timeout=2"
    watcher = watch.Watch(conninfo, tell)
    crew = Crew(folder, arguments.workers, lambda: dice.uniform(2.0, 5.0), tell)
    seconds = arguments.minutes * 60
    connection.close()  # it would not survive
    with contextlib.ExitStack() as stack:
        stack.callback(crew.close)
        crew.wait_until_ready()
        watcher.start()
        stack.callback(watcher.close)
        with starter(arguments, folder) as starting:
            chaos = monkey.Monkey(crew, postgres, conninfo, watcher, tell)
            chaos.run(monkey.plan(arguments.seed, seconds, arguments.workers))
            crew.wait_until_ready()
            tell("The harm is over")
            starting.wait(seconds + 60)
            drained = drain(crew)
            tell(f"The runs ended in {drained:.0f} s")
    found = logs.read(crew.logs, folder / "data" / "log")
    kept = [
        *promises.check(committed(folder / "starter.log")),
        *report.of_processes(watcher, crew, found),
    ]
    numbers = {**promises.figures(), **report.figures(chaos, crew, watcher, found)}
    text = report.text(setting(arguments), kept, numbers)
    print(f"\n{text}{report.details(kept, found)}\n", flush=True)
    if arguments.write:
        report.write(text)
    return not any(promise.broken for promise in kept)


@contextlib.contextmanager
def starter(arguments: argparse.Namespace, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process that starts runs."""
    options = {"seed": arguments.seed, "seconds": arguments.minutes * 60, "rate": arguments.rate}
    with (folder / "starter.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.starter", *(f"--{name}={value}" for name, value in options.items())],
            stdout=output,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def committed(log: Path) -> set[UUID]:
    """Return the runs whose commit was confirmed to the starter."""
    lines = (line.split() for line in log.read_text().splitlines())
    return {UUID(words[1]) for words in lines if words[0] == "committed"}


def drain(crew: Crew) -> float:
    """Wait until no run is left, or the deadline; return the seconds."""
    from tests.chaos.promises import rows

    begin = time.monotonic()
    while time.monotonic() < begin + DRAIN and rows("select from pgflow.runs where status = 'started' limit 1"):
        crew.supervise()
        time.sleep(0.2)
    return time.monotonic() - begin


def setting(arguments: argparse.Namespace) -> str:
    """Say under what this was found."""
    from tests.chaos.promises import rows

    ((version,),) = rows("select current_setting('server_version')")
    return (
        f"{arguments.minutes:g} minutes, seed {arguments.seed}; {arguments.workers} worker processes, "
        f"{arguments.rate:g} runs started a second; PostgreSQL {version.split()[0]}, fsync on; "
        f"Python {platform.python_version()}; {os.cpu_count()} cores."
    )


if __name__ == "__main__":
    sys.exit(main())
