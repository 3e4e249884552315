"""Celery with Redis, tasks in ten threads of one process; for all else see ``celery``.

https://docs.celeryq.dev/en/stable/userguide/concurrency/index.html (``--pool=threads --concurrency``).
"""

from __future__ import annotations

from tests.benchmarks.peers import celery


class Driver(celery.Driver):
    """See above."""

    about = "as celery, with `--pool=threads --concurrency=10`"
    pool = ("--pool=threads", "--concurrency=10")
