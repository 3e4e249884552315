"""``manage.py runpgflowworker``: execute the tasks of flows."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.utils import OperationalError
from django.utils import autoreload

from django_pgflow import conf, exceptions
from django_pgflow.worker import channel, limits, served
from django_pgflow.worker.options import WorkerOptions
from django_pgflow.worker.supervisor import Supervisor
from django_pgflow.worker.worker import Worker

if TYPE_CHECKING:
    from django_pgflow.dsl.definition import FlowDefinition

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
        parser.add_argument(
            "--flow-concurrency",
            action="append",
            type=read_flow_concurrency,
            metavar="FLOW=N",
            help="Tasks of this flow executed at a time, at most; may be repeated.",
        )
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
        parser.add_argument(
            "--processes", type=int, metavar="N", help="Processes that execute tasks, under one that supervises them."
        )
        parser.add_argument(
            "--max-tasks", type=int, metavar="N", help="Replace a process once it has executed so many tasks; 0: never."
        )
        parser.add_argument(
            "--max-memory", type=int, metavar="MB", help="Replace a process once it has so much memory; 0: never."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run a worker, or several under a supervisor, and exit with the code if that is not 0."""
        line = channel.Line.from_environment()
        settings = self.make_settings(options)
        supervised = settings.supervised and self.is_the_program
        configure_logging(options["verbosity"], show_process=supervised)
        if supervised and options["autoreload"]:
            raise CommandError(
                "--autoreload goes with one process and without limits. Leave out --processes, --max-tasks and "
                "--max-memory; if they come from PGFLOW['WORKER'], add --processes 1 --max-tasks 0 --max-memory 0."
            )
        if options["autoreload"]:
            autoreload.run_with_reloader(self.work, options, settings, reloading=True)
            return
        code = self.supervise(options, settings) if supervised and line is None else self.work(options, settings, line)
        if code:
            sys.exit(code)

    @property
    def is_the_program(self) -> bool:
        """Whether this process was started to run this command, and is not one that uses ``call_command``."""
        return getattr(self, "_called_from_command_line", False)

    def supervise(self, options: dict[str, Any], settings: WorkerOptions) -> int:
        """Start this command line several times over, and return the exit code."""
        self.choose_flows(options)  # what is wrong with the call is said once, not by each process
        connections.close_all()
        return Supervisor(
            autoreload.get_child_arguments(),
            processes=settings.processes,
            grace=settings.grace,
            until_idle=settings.until_idle,
        ).run()

    def work(
        self,
        options: dict[str, Any],
        settings: WorkerOptions,
        line: channel.Line | None = None,
        *,
        reloading: bool = False,
    ) -> int:
        """Run a worker, and return its exit code."""
        if reloading:
            autoreload.raise_last_exception()
        worker = self.make_worker(options, settings)
        if reloading:
            drain_before_reload(worker)
        if line:
            line.obey(worker)
            line.tell(channel.READY)
        try:
            code = worker.run()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if line and worker.limits.reached:
            line.tell(channel.AT_LIMIT)
        if worker.has_leftovers and self.is_the_program and not reloading:
            # Their tasks were given back or have failed: what they still do, nobody wants, and some of Python's own
            # threads would be waited for.
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        return code

    def make_settings(self, options: dict[str, Any]) -> WorkerOptions:
        """Return what the command line says, else the settings."""
        several = {name: options[name] for name in ("processes", "max_tasks", "max_memory")}
        if not self.is_the_program:
            # There is no command line of ours to start again, so the settings for it are not meant.
            several = {"processes": 1, "max_tasks": 0, "max_memory": 0} | {
                name: value for name, value in several.items() if value is not None
            }
            if several["processes"] > 1:
                raise CommandError(
                    "Several processes can be started by the command line only. By call_command, runpgflowworker is "
                    "one worker in the process that calls: leave out `processes`."
                )
        try:
            settings = WorkerOptions.from_settings(
                using=options["database"],
                concurrency=options["concurrency"],
                flow_concurrency=self.choose_flow_concurrency(options),
                grace=options["grace"],
                poll_interval=options["poll_interval"],
                listen=False if options["no_listen"] else None,
                until_idle=options["until_idle"],
                **several,
            )
            if settings.max_memory and (memory := limits.resident_memory()) > settings.max_memory:
                raise ValueError(
                    f"max_memory is {settings.max_memory} MB, and the process has {memory:.0f} MB before its first "
                    "task. Give it more, with room for its tasks."
                )
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        if settings.using not in connections:
            raise CommandError(
                f"There is no database {settings.using!r}. Choose one of DATABASES: {', '.join(connections)}."
            )
        return settings

    def choose_flow_concurrency(self, options: dict[str, Any]) -> dict[str, int]:
        """Return the caps that the command line names, and those of the settings for other flows."""
        given = dict(options["flow_concurrency"] or ())
        try:
            served.choose(list(given))
        except exceptions.PgflowError as error:
            raise CommandError(f"--flow-concurrency: {error}") from error
        return {**conf.get().WORKER.flow_concurrency, **given}

    def choose_flows(self, options: dict[str, Any]) -> dict[str, FlowDefinition]:
        """Return the flows that the command line names."""
        try:
            flows = served.choose(options["flows"])
        except exceptions.PgflowError as error:
            raise CommandError(str(error)) from error
        if not flows:
            raise CommandError(
                "There are no flows. Declare one in the flows.py of an app that is in INSTALLED_APPS: "
                '`from django_pgflow import Flow`, `my_flow = Flow("my_flow")`, and steps with `@my_flow.step`.'
            )
        return flows

    def make_worker(self, options: dict[str, Any], settings: WorkerOptions) -> Worker:
        """Make a worker of the flows that the database has."""
        flows = self.choose_flows(options)
        try:
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


def read_flow_concurrency(text: str) -> tuple[str, int]:
    """Read ``"fulfil_order=2"``."""
    slug, _, count = text.partition("=")
    if not slug or not count.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not FLOW=N, as in fulfil_order=2.")
    return slug, int(count)


def configure_logging(verbosity: int, *, show_process: bool) -> None:
    """Show the log on standard error, if the project has not said what to do with it."""
    logger = logging.getLogger("django_pgflow")
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        process = " [%(process)d]" if show_process else ""
        handler.setFormatter(logging.Formatter(f"%(asctime)s{process} %(levelname)s %(message)s"))
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
