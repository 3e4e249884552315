"""django-tasks-db, the backend of Django's task framework that keeps tasks in the database.

https://github.com/RealOrangeOne/django-tasks-db (``db_worker``; it executes one task at a time). It has no bulk call,
so many are enqueued in one transaction, and no workflows.
"""

from __future__ import annotations

import os
import sys

from tests.benchmarks.peers import _postgres

os.environ["BENCH_PEER"] = "django_tasks"
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.peers._django"


class Driver(_postgres.PostgresDriver):
    """See above."""

    packages = ("django-tasks-db", "django")
    about = "`db_worker --interval 0.01`, one task at a time; many are enqueued in one transaction"

    def setup(self) -> None:
        """Migrate."""
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        from tests.benchmarks.peers import _django_task

        self._task = _django_task.only
        self.connect()

    def worker_command(self) -> list[str]:
        """Return what the documentation says."""
        return [sys.executable, "-m", "django", "db_worker", "--interval", "0.01", "--no-startup-delay"]

    def start_one(self) -> None:
        """Enqueue one."""
        self._last = self._task.enqueue().id

    def start_many(self, count: int) -> None:
        """Enqueue them in one transaction."""
        from django.db import transaction

        with transaction.atomic():
            for _ in range(count):
                self._last = self._task.enqueue().id

    def unfinished(self) -> bool:
        """Look at the last one first."""
        open_ones = "('READY', 'RUNNING')"
        statement = f"select status in {open_ones} from django_tasks_database_dbtaskresult where id = %s"
        if self.value(statement, self._last):
            return True
        return bool(
            self.value(f"select exists (select from django_tasks_database_dbtaskresult where status in {open_ones})")
        )

    def failed(self) -> int:
        """Ask the table."""
        return int(self.value("select count(*) from django_tasks_database_dbtaskresult where status = 'FAILED'"))

    def clear(self) -> None:
        """Delete the tasks."""
        self.value("truncate django_tasks_database_dbtaskresult")
