"""What is measured, and how a driver is asked to do it; needs nothing but Python, since each peer has its own.

A driver runs as a process of its own: it is given a database of its own on the common server by ``BENCH_SOCKET`` and
``BENCH_DATABASE``, and prints a line of JSON for each figure: ``{"workload": ..., "figure": ..., "note": ...}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import ClassVar

ROOT = Path(__file__).parents[2]
PATIENCE = float(os.environ.get("BENCH_PATIENCE") or 120)
"""Seconds until a workload is given up."""

SETTLE = 1.0
"""Seconds that each worker gets after the first of them has done something."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A row of the table.

    Attributes:
        name: What drivers call it.
        title: What the table calls it.
        unit: Of the figures; less is better where that is ms.
        target: What the project wants of itself, in words.
    """

    name: str
    title: str
    unit: str
    target: str = ""


WORKLOADS = [
    Workload(name="start_one", title="runs started, one commit each", unit="runs/s", target="2,500"),
    Workload(name="start_many", title="runs started in bulk, 5,000 at once", unit="runs/s", target="40,000"),
    Workload(name="singles", title="single-step tasks, 5,000 queued, one process", unit="tasks/s", target="10,000"),
    Workload(name="singles_two", title="the same, two processes", unit="tasks/s", target="15,000"),
    Workload(name="singles_sync", title="the same, one process, def instead of async def", unit="tasks/s"),
    Workload(name="chain_p50", title="chain of five, idle worker, p50", unit="ms", target="7"),
    Workload(name="chain_p95", title="chain of five, idle worker, p95", unit="ms", target="10"),
    Workload(name="map_1000", title="map of 1,000 with a collector", unit="tasks/s", target="8,000"),
    Workload(name="map_5000", title="map of 5,000 with a collector", unit="tasks/s", target="8,000"),
    Workload(name="map_100000", title="map of 100,000 with a collector", unit="tasks/s"),
    Workload(name="map_growth", title="a task of that one / of the map of 1,000", unit="times", target="1.3"),
    Workload(name="diamonds", title="200 diamonds at once", unit="steps/s", target="8,000"),
]


class Driver:
    """Does the workloads with one library. A method that a driver leaves as it is here is shown as "-".

    Runs, flows and steps are this project's words: to a queue without workflows a run is a job.
    """

    packages: ClassVar[tuple[str, ...]] = ()
    """Whose versions the table names."""
    about: ClassVar[str] = ""
    """How it is set up, in a line, for the table."""

    def __init__(self) -> None:
        self.socket = os.environ["BENCH_SOCKET"]
        self.database = os.environ["BENCH_DATABASE"]

    @property
    def url(self) -> str:
        """The database, as libpq reads it."""
        return f"postgresql://postgres@/{self.database}?host={self.socket}"

    def setup(self) -> None:
        """Make tables, and connect."""

    def worker_command(self) -> list[str]:
        """Return what starts one worker process."""
        raise NotImplementedError

    def start_one(self) -> None:
        """Start a run of one step that does nothing, in a commit of its own."""
        raise NotImplementedError

    def start_many(self, count: int) -> None:
        """Start so many, as fast as the library allows."""
        raise NotImplementedError

    def unfinished(self) -> bool:
        """Return whether any run of those started last is not done; asked often, so it must be cheap."""
        raise NotImplementedError

    def failed(self) -> int:
        """Return how many jobs have failed, since those that fail at once look fast."""
        return 0

    def clear(self) -> None:
        """Forget runs that nobody worked on."""
        with workers(self, 1):
            wait(self.unfinished)

    def prepare_singles_sync(self) -> None:
        """Have ``start_many`` start steps whose handler is ``def``, where it was ``async def``."""
        raise NotImplementedError

    def chain(self) -> None:
        """Start a chain of five steps, each of which takes what the one before returned, and wait for its end."""
        raise NotImplementedError

    def map(self, size: int) -> None:
        """Start a run with a step for each of so many numbers, and one that counts them; wait for its end."""
        raise NotImplementedError

    def map_100000(self) -> None:
        """Do ``map`` with 100,000."""
        raise NotImplementedError

    def diamonds(self, count: int) -> None:
        """Start so many runs of four steps, a, then b and c, then d; wait for their end."""
        raise NotImplementedError

    def can(self, method: str) -> bool:
        """Return whether the driver has a method of its own."""
        return getattr(type(self), method) is not getattr(Driver, method)


class GivenUp(Exception):
    """A workload was given up."""


def wait(unfinished: Callable[[], bool], pause: float = 0.002) -> None:
    """Wait until something is done.

    Raises:
        GivenUp: It took longer than ``PATIENCE``, or a worker has ended.
    """
    deadline = time.monotonic() + PATIENCE
    next_check = time.monotonic() + 1.0
    while unfinished():
        if time.monotonic() > next_check:
            next_check += 1.0
            if any(group.has_lost_one() for group in Workers.all):
                raise GivenUp("a worker has ended")
            if time.monotonic() > deadline:
                raise GivenUp(f"more than {PATIENCE:.0f} s")
        time.sleep(pause)


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


class Workers:
    """Worker processes, each with its children, that can be held up while work is queued."""

    all: ClassVar[list[Workers]] = []

    def __init__(self, command: list[str], count: int) -> None:
        self.all.append(self)
        with Path(os.environ.get("BENCH_LOG") or os.devnull).open("a") as log:
            self._processes = [
                subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
                for _ in range(count)
            ]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the workers and their children."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def has_lost_one(self) -> bool:
        """Return whether one has ended by itself."""
        return any(process.poll() is not None for process in self._processes)

    def stop(self) -> None:
        """End them, kindly first."""
        self.all.remove(self)
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
        self.signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()


@contextlib.contextmanager
def workers(driver: Driver, count: int) -> Iterator[Workers]:
    """Run workers, and go on when they have done something."""
    group = Workers(driver.worker_command(), count)
    try:
        driver.start_one()
        wait(driver.unfinished)
        time.sleep(SETTLE * count)
        driver.start_many(100)
        wait(driver.unfinished)
        yield group
    finally:
        group.stop()


def work_off(driver: Driver, group: Workers, count: int) -> float:
    """Return the tasks per second at which workers do what was queued while they were held up."""
    time.sleep(0.2)
    group.signal(signal.SIGSTOP)
    try:
        driver.start_many(count)
    finally:
        begin = time.perf_counter()
        group.signal(signal.SIGCONT)
    wait(driver.unfinished)
    return count / (time.perf_counter() - begin)


def chains(driver: Driver, count: int) -> dict[str, float]:
    """Return the milliseconds that one chain after the other takes."""
    driver.chain()
    milliseconds = []
    for _ in range(count):
        time.sleep(0.01)
        milliseconds.append(timed(driver.chain) * 1000)
    cuts = statistics.quantiles(milliseconds, n=20)
    return {"chain_p50": cuts[9], "chain_p95": cuts[18]}


def measure(driver: Driver, scale: float) -> Iterator[tuple[str, float]]:
    """Do the workloads; yield name and figure of each."""

    def size(full: int) -> int:
        return max(10, int(full * scale))

    ones, many = size(1000), size(5000)
    driver.start_one()
    yield "start_one", ones / timed(lambda: [driver.start_one() for _ in range(ones)])
    yield "start_many", many / timed(lambda: driver.start_many(many))
    driver.clear()
    with workers(driver, 1) as group:
        yield "singles", work_off(driver, group, many)
        if driver.can("chain"):
            yield from chains(driver, size(100)).items()
        if driver.can("map"):
            driver.map(10)
            small = size(1000) / timed(lambda: driver.map(size(1000)))
            yield "map_1000", small
            yield "map_5000", many / timed(lambda: driver.map(many))
            if driver.can("map_100000") and scale == 1:
                large = 100_000 / timed(driver.map_100000)
                yield "map_100000", large
                yield "map_growth", small / large
        if driver.can("diamonds"):
            driver.diamonds(4)
            yield "diamonds", size(200) * 4 / timed(lambda: driver.diamonds(size(200)))
        if driver.can("prepare_singles_sync"):
            driver.prepare_singles_sync()
            driver.start_many(100)
            wait(driver.unfinished)
            yield "singles_sync", work_off(driver, group, many)
    with workers(driver, 2) as group:
        yield "singles_two", work_off(driver, group, many)
    if count := driver.failed():
        raise GivenUp(f"{count} jobs have failed, so the figures mean nothing")


def main(kind: type[Driver]) -> None:
    """Be a driver's process."""
    driver = kind()
    versions = " ".join(f"{package} {metadata.version(package)}" for package in kind.packages)
    print(json.dumps({"about": kind.about, "versions": versions}), flush=True)
    driver.setup()
    try:
        for name, figure in measure(driver, float(os.environ.get("BENCH_SCALE") or 1)):
            print(json.dumps({"workload": name, "figure": figure}), flush=True)
    except GivenUp as error:
        print(json.dumps({"note": f"given up: {error}"}), flush=True)
        sys.exit(1)
