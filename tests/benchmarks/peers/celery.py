"""Celery, Redis as broker and result backend, in processes (the default); ``celery_threads`` is the same in threads.

- Prefetching for short tasks, and tasks whose results nobody wants:
  https://docs.celeryq.dev/en/stable/userguide/optimizing.html (``worker_prefetch_multiplier``, 64), and
  https://docs.celeryq.dev/en/stable/userguide/tasks.html#ignore-results-you-don-t-want.
- Many at once: one producer for all, https://docs.celeryq.dev/en/stable/userguide/calling.html#connections.
- Chain, map (chord) and diamonds: https://docs.celeryq.dev/en/stable/userguide/canvas.html.

Redis comes from the PATH (Debian: redis-server), on a socket, configured as its own defaults are: no append-only file,
so a crash loses what came after the last snapshot.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import redis
from celery import Celery, chain, chord, exceptions, group

from tests.benchmarks import protocol

if "BENCH_REDIS" not in os.environ:  # the driver; its workers find it set
    os.environ["BENCH_REDIS"] = tempfile.mkdtemp(prefix="pgflow-bench-redis-")
SOCKET = f"{os.environ['BENCH_REDIS']}/redis.sock"
app = Celery("bench", broker=f"redis+socket://{SOCKET}", backend=f"redis+socket://{SOCKET}")
app.conf.update(worker_prefetch_multiplier=64, broker_connection_retry_on_startup=True)
MODULE = "tests.benchmarks.peers.celery"


@app.task(name="only", ignore_result=True)
def only() -> None: ...


@app.task(name="one")
def one() -> int:
    return 1


@app.task(name="more")
def more(value: int) -> int:
    return value + 1


@app.task(name="total")
def total(values: list[int]) -> int:
    return len(values)


class Driver(protocol.Driver):
    """See above."""

    packages = ("celery", "redis")
    about = (
        "Redis as its defaults are (no append-only file); prefork pool of as many processes as cores, prefetch "
        "multiplier 64, results ignored for single tasks; chain, chord"
    )
    pool: tuple[str, ...] = ()

    def setup(self) -> None:
        """Start Redis, and connect."""
        start_redis()
        self._redis = redis.Redis(unix_socket_path=SOCKET)

    def worker_command(self) -> list[str]:
        """Return what the documentation says, without what keeps several machines in touch."""
        command = [sys.executable, "-m", "celery", f"--app={MODULE}", "worker", "--loglevel=WARNING", *self.pool]
        return [*command, "--without-gossip", "--without-mingle", "--without-heartbeat", "-n", "%%n-%%i@%h"]

    def start_one(self) -> None:
        """Send one."""
        only.apply_async()

    def start_many(self, count: int) -> None:
        """Send them by one producer."""
        with app.producer_pool.acquire(block=True) as producer:
            for _ in range(count):
                only.apply_async(producer=producer)

    def unfinished(self) -> bool:
        """Ask for what is queued, and what was taken but not yet begun, since nothing is written at the end."""
        return bool(self._redis.llen("celery") or self._redis.hlen("unacked"))

    def clear(self) -> None:
        """Delete the messages."""
        self._redis.flushall()

    def chain(self) -> None:
        """A chain; its result comes by a message."""
        finish(chain(one.s(), *(more.s() for _ in range(4))).apply_async())

    def map(self, size: int) -> None:
        """A chord."""
        poll([chord((more.s(number) for number in range(size)), total.s()).apply_async()])

    def diamonds(self, count: int) -> None:
        """A chain with a chord inside."""
        # A signature keeps the ids of what it started: a new one for each.
        poll([chain(one.s(), group(more.s(), more.s()), total.s()).apply_async() for _ in range(count)])


def finish(result: Any) -> None:
    """Wait for a result by ``get``."""
    try:
        result.get(timeout=protocol.PATIENCE)
    except exceptions.TimeoutError as error:
        raise protocol.GivenUp(f"more than {protocol.PATIENCE:.0f} s") from error


def poll(results: list[Any]) -> None:
    """Wait for results by asking: ``get`` would also take in the result of each task before them, one by one.

    That took the client three times as long, and made it what the measurement waits for.
    """
    for result in results:
        protocol.wait(lambda result=result: not result.ready())


def start_redis() -> None:
    """Start Redis, for as long as this process runs."""
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("There is no redis-server. On Debian and Ubuntu: apt install redis-server")
    folder = os.environ["BENCH_REDIS"]
    server = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", SOCKET, "--dir", folder], stdout=subprocess.DEVNULL
    )

    def stop() -> None:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    while not Path(SOCKET).exists() and server.poll() is None:
        time.sleep(0.05)
