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
from celery import Celery, chain, chord, group

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
        """A chain."""
        chain(one.s(), *(more.s() for _ in range(4))).apply_async().get(timeout=protocol.PATIENCE)

    def map(self, size: int) -> None:
        """A chord."""
        chord((more.s(number) for number in range(size)), total.s()).apply_async().get(timeout=protocol.PATIENCE)

    def diamonds(self, count: int) -> None:
        """A chain with a chord inside."""
        results: list[Any] = []
        for _ in range(count):
            diamond = chain(one.s(), group(more.s(), more.s()), total.s())
            results.append(diamond.apply_async())
        for result in results:
            result.get(timeout=protocol.PATIENCE)


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
