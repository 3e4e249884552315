"""``manage.py runpgflowworker``: execute the tasks of flows."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.utils import OperationalError
from django.utils import autoreload

from django_pgflow import exceptions
from django_pgflow.worker import served
from django_pgflow.worker.options import WorkerOptions
from django_pgflow.worker.worker import Worker

LEVELS = {0: logging.WARNING, 1: logging.INFO, 2: logging.INFO, 3: logging.DEBUG}


class Command(BaseCommand):
    """Parse, call, report."""

    help = (
        "Executes the tasks of flows until it gets SIGTERM or SIGINT. The first signal lets running tasks end within "
        "--grace seconds and gives back the others; a second one gives back everything at once. Tasks that are given "
        "back lose no attempt. Start as many workers as you like, on as many machines as you like."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options; what is left out comes from ``PGFLOW["WORKER"]``."""
        parser.add_argument("flows", nargs="*", metavar="flow", help="Slugs of the flows to serve. Default: all.")
        parser.add_argument("--concurrency", type=int, help="Tasks executed at a time.")
        parser.add_argument("--grace", type=float, metavar="SECONDS", help="Time for running tasks after a signal.")
        parser.add_argument(
            "--poll-interval", type=float, metavar="SECONDS", help="Time between two looks at the queues, at most."
        )
        parser.add_argument(
            "--no-listen", action="store_true", help="Poll only; for connections through a transaction pooler."
        )
        parser.add_argument("--database", metavar="ALIAS", help='Default: PGFLOW["DATABASE"].')
        parser.add_argument(
            "--until-idle",
            action="store_true",
            help="End when no run of these flows has a task left that is queued or running: retries and delayed "
            "steps are waited for, and so are tasks that other workers execute.",
        )
        parser.add_argument("--autoreload", action="store_true", help="Start again when the code changes.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run a worker, and exit with its code if that is not 0."""
        configure_logging(options["verbosity"])
        if options["autoreload"]:
            autoreload.run_with_reloader(self.work, reloading=True, **options)
            return
        code = self.work(**options)
        if code:
            sys.exit(code)

    def work(self, *, reloading: bool = False, **options: Any) -> int:
        """Run a worker, and return its exit code."""
        if reloading:
            autoreload.raise_last_exception()
        worker = self.make_worker(options)
        if reloading:
            drain_before_reload(worker)
        code = worker.run()
        from_command_line = getattr(self, "_called_from_command_line", False)
        if worker.has_leftovers and from_command_line and not reloading:
            # Their tasks were given back or have failed: what they still do, nobody wants, and some of Python's own
            # threads would be waited for.
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        return code

    def make_worker(self, options: dict[str, Any]) -> Worker:
        """Make a worker of the command line."""
        try:
            settings = WorkerOptions.from_settings(
                using=options["database"],
                concurrency=options["concurrency"],
                grace=options["grace"],
                poll_interval=options["poll_interval"],
                listen=False if options["no_listen"] else None,
                until_idle=options["until_idle"],
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        if settings.using not in connections:
            raise CommandError(
                f"There is no database {settings.using!r}. Choose one of DATABASES: {', '.join(connections)}."
            )
        try:
            flows = served.choose(options["flows"])
            if not flows:
                raise CommandError(
                    "There are no flows. Declare one in the flows.py of an app that is in INSTALLED_APPS: "
                    '`from django_pgflow import Flow`, `my_flow = Flow("my_flow")`, and steps with `@my_flow.step`.'
                )
            ready = served.prepare(flows, using=settings.using)
        except exceptions.PgflowError as error:
            raise CommandError(str(error)) from error
        except OperationalError as error:
            raise CommandError(f"The database {settings.using!r} cannot be used: {error}") from error
        if not ready:
            raise CommandError(
                "No flow is left to serve: the steps of each differ from those in the database, as logged above."
            )
        worker = Worker(ready, settings)
        connections.close_all()  # this thread will not need them again
        return worker


def configure_logging(verbosity: int) -> None:
    """Show the log on standard error, if the project has not said what to do with it."""
    logger = logging.getLogger("django_pgflow")
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(LEVELS[verbosity])


def drain_before_reload(worker: Worker) -> None:
    """Let a worker that runs beside Django's reloader end in order before the process does."""
    thread = threading.current_thread()

    def drain(grace: float | None = None) -> None:
        worker.stop("reload", grace=grace)
        thread.join()

    def file_changed(*, file_path: Path, **kwargs: Any) -> None:
        # Receivers that return something prevent the restart; those of other kinds of files do.
        if file_path.suffix == ".py":
            drain()

    autoreload.file_changed.connect(file_changed, weak=False, dispatch_uid="django_pgflow.drain")
    atexit.register(drain, 0.0)
