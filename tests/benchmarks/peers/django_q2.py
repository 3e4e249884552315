"""django-q2 with the database as its broker.

https://django-q2.readthedocs.io/en/master/configure.html (see ``_django.py``; the numbers are ours) and
https://django-q2.readthedocs.io/en/master/brokers.html#django-orm. The chain is ``async_chain``, which passes no
results on; the map is ``async_iter``, which collects the results by itself, so that there is no task for that. It has
no bulk call, so many are queued in one transaction, and no diamonds.
"""

from __future__ import annotations

import os
import sys

from tests.benchmarks import protocol
from tests.benchmarks.peers import _postgres

os.environ["BENCH_PEER"] = "django_q2"
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.peers._django"
LENGTH = 5


def only() -> None: ...


def element(value: int) -> int:
    return value


class Driver(_postgres.PostgresDriver):
    """See above."""

    packages = ("django-q2", "django")
    about = (
        "`qcluster`, database as broker, as many workers as cores, bulk 50, polled each 10 ms; many are queued in one "
        "transaction; `async_chain` (passes no results), `async_iter`"
    )

    def setup(self) -> None:
        """Migrate."""
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        call_command("createcachetable", "cache", verbosity=0)
        from django_q import tasks

        self._tasks = tasks
        self.connect()

    def worker_command(self) -> list[str]:
        """Return what the documentation says."""
        return [sys.executable, "-m", "django", "qcluster"]

    def start_one(self) -> None:
        """Queue one."""
        self._tasks.async_task(only)

    def start_many(self, count: int) -> None:
        """Queue them in one transaction."""
        from django.db import transaction

        with transaction.atomic():
            for _ in range(count):
                self._tasks.async_task(only)

    def unfinished(self) -> bool:
        """Ask for what is queued, or was taken and not yet acknowledged."""
        return bool(self.value("select exists (select from django_q_ormq)"))

    def failed(self) -> int:
        """Ask the table."""
        return int(self.value("select count(*) from django_q_task where not success"))

    def clear(self) -> None:
        """Delete the queue."""
        self.value("truncate django_q_ormq")

    def chain(self) -> None:
        """A chain; its tasks are a group, which has all of them in the end."""
        group = self._tasks.async_chain([(only,)] * LENGTH)
        statement = 'select count(*) from django_q_task where "group" = %s'
        protocol.wait(lambda: bool(self.value(statement, group) < LENGTH), 0.0005)

    def map(self, size: int) -> None:
        """An iteration; its result is saved as a task by the name of the group."""
        group = self._tasks.async_iter(element, list(range(size)))
        statement = "select exists (select from django_q_task where id = %s)"
        protocol.wait(lambda: not self.value(statement, group))
