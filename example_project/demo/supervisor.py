"""Starts PostgreSQL, the web server and a worker, runs the examples, and stops everything in order."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from example_project.demo.children import Child
from example_project.demo.problems import Problem, Stop, Stopped
from example_project.demo.state import State, free_port
from example_project.embedded_postgres import EmbeddedPostgres

if TYPE_CHECKING:  # Django is set up only once the database runs
    from example_project.demo.examples import Example

USER = "admin"
RUN_SECONDS = 180.0


def main(*, state: Path, port: int, once: bool, root: Path) -> int:
    """Run the demo and return its exit code: 0 if all went as it should."""
    stop = Stop()
    stop.install()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
    try:
        with contextlib.ExitStack() as stack:
            Demo(State(state), port=port, root=root, stack=stack, stop=stop).run(once=once)
        return 0
    except (Exception, Stopped) as error:
        # A signal in the middle of a statement can come out as an error of the database, too.
        if stop.received:
            print("\nStopped. The data are kept; the next start takes seconds.")
            return 128 + stop.received if once else 0
        if isinstance(error, Problem):
            print(f"\n{error}", file=sys.stderr)
            return 1
        raise


class Demo:
    """One demo, from start to stop.

    Args:
        state: The folder for what is kept.
        port: Of the web server; 0 takes a free one.
        root: The folder of ``manage.py``.
        stack: Gets what is to be undone, in reverse order.
        stop: The signals.
    """

    def __init__(self, state: State, *, port: int, root: Path, stack: contextlib.ExitStack, stop: Stop) -> None:
        self.state = state
        self.root = root
        self.stop = stop
        self._stack = stack
        self._children: list[Child] = []
        state.lock()
        self.port = free_port(port)
        self.site = f"http://127.0.0.1:{self.port}"
        state.note(f"process {os.getpid()}, {self.site}/")

    def run(self, *, once: bool) -> None:
        """Start all, run the examples, and, unless ``once``, stay until somebody stops it."""
        self._start_postgres()
        with self._database_errors():
            self._prepare_database()
            self._start_web()
            self._start_child("worker", "runpgflowworker", "--grace", "5")
            self._introduce()
            digest = self._run_examples()
            if once:
                self._finish(digest)
            else:
                self._stay(digest)

    def _start_postgres(self) -> None:
        new = not (self.state.postgres / "PG_VERSION").exists()
        print("Making a database ..." if new else "Starting the database ...")
        server = EmbeddedPostgres(self.state.postgres)
        self._stack.callback(server.stop)
        try:
            with self.stop.deferred():
                server.start()
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            raise Problem(
                f"The embedded PostgreSQL did not start: {error}\nIts log, if there is one: {self.state.postgres}/log. "
                "If nothing in it helps, begin anew: make demo-clean"
            ) from error
        loopback = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1"]))
        os.environ.update(
            DJANGO_SETTINGS_MODULE="example_project.settings",
            DATABASE_URL=server.url(),
            SECRET_KEY=self.state.secret("secret-key", length=50),
            DEBUG="false",
            ALLOWED_HOSTS="127.0.0.1,localhost",
            SITE_URL=self.site,
            NO_PROXY=loopback,
            no_proxy=loopback,
        )

    def _prepare_database(self) -> None:
        import django
        from django.core.management import call_command

        django.setup()
        # What this process logs would tear the lines that it redraws.
        logging.getLogger("django_pgflow").setLevel(logging.WARNING)
        from django.contrib.auth import get_user_model

        print("Migrating ...")
        try:
            with self.stop.deferred():
                call_command("migrate", verbosity=0, interactive=False)
        except Exception as error:
            raise Problem(
                f"The migrations failed: {error}\nIf the data in {self.state.folder} are of an older version, "
                "throw them away: make demo-clean"
            ) from error
        user, _ = get_user_model().objects.get_or_create(username=USER)
        self.password = self.state.secret("admin-password", length=9)
        if not (user.check_password(self.password) and user.is_superuser and user.is_staff and user.is_active):
            user.is_superuser = user.is_staff = user.is_active = True
            user.set_password(self.password)
            user.save()

    def _start_web(self) -> None:
        # runserver serves the admin's style sheets only with DEBUG.
        web = self._start_child(
            "web server", "runserver", "--noreload", f"127.0.0.1:{self.port}", environment={"DEBUG": "true"}
        )
        deadline = time.monotonic() + 60
        while not self._answers():
            web.check()
            if time.monotonic() > deadline:
                raise Problem(f"The web server did not answer within a minute. Its output: {web.log}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _start_child(self, name: str, *arguments: str, environment: dict[str, str] | None = None) -> Child:
        with self.stop.deferred():  # no signal may come between a child and what stops it
            child = Child(
                name,
                [sys.executable, self.root / "manage.py", *arguments],
                log=self.state.log(name.replace(" ", "-")),
                environment=environment or {},
                cwd=self.root,
            )
            self._stack.callback(child.stop)
            self._children.append(child)
        return child

    def _introduce(self) -> None:
        print(
            f"\n  Admin     {self.site}/admin/   user {USER}   password {self.password}"
            f"\n  Pages     {self.site}/"
            f"\n  Logs      {self.state.log('worker')}, {self.state.log('web-server')}"
            f"\n  Database  {os.environ['DATABASE_URL']}\n"
        )

    def _run_examples(self) -> Example:
        from example_project.demo import examples

        first = examples.start()
        self._watch(first)
        digest = examples.start_digest()
        self._watch([digest])
        print("\nResults:")
        for example in [*first, digest]:
            print(example.report())
        return digest

    def _watch(self, started: Sequence[Example]) -> None:
        """Show the runs until all have ended."""
        from example_project.demo import examples
        from example_project.demo.progress import Progress

        progress = Progress(sys.stdout)
        runs = [example.run for example in started]
        deadline = time.monotonic() + RUN_SECONDS
        while going_on := examples.unfinished(started):
            progress.show(runs)
            self._check_children()
            if time.monotonic() > deadline:
                names = ", ".join(f"{run.flow_slug} {run.pk}" for run in going_on)
                raise Problem(f"Not ended within {RUN_SECONDS:g} seconds: {names}. See {self.state.log('worker')}.")
            time.sleep(0.2)
        progress.show(runs)

    def _finish(self, digest: Example) -> None:
        """Approve and retry as a person would, and see the run complete."""
        from example_project.demo import examples

        print("\nApproving the digest, then retrying the failed task:")
        approved = examples.approve_and_retry(digest)
        self._watch([approved])
        print(approved.report())
        print("\nAll runs ended as they should.")

    def _stay(self, digest: Example) -> None:
        """Show what changes, until a signal or the end of a child."""
        from django.urls import reverse

        from django_pgflow import models
        from example_project.demo import examples

        tasks = reverse("admin:pgflow_failedtask_changelist")
        print(
            "\nPractise a retry:"
            f"\n  1. Tick 'approved' on {examples.digest_page(digest)} and save."
            f"\n  2. Select the task on {self.site}{tasks} and run the action 'Retry selected tasks'."
            "\n  3. Watch the run complete, here or in the admin."
            "\n\nChanges to runs are shown below. Ctrl-C stops everything.\n"
        )

        def statuses() -> dict[str, str]:
            newest = models.Run.objects.newest_first()[:50]
            return {f"{run.flow_slug} {str(run.pk)[:8]}": run.status for run in newest}

        known = statuses()
        while True:
            time.sleep(0.5)
            self._check_children()
            now = statuses()
            for name, status in reversed(now.items()):
                if known.get(name) != status:
                    print(f"  {time.strftime('%H:%M:%S')}  {name} {status}")
            known = now

    def _check_children(self) -> None:
        for child in self._children:
            child.check()

    @contextlib.contextmanager
    def _database_errors(self) -> Iterator[None]:
        from django.db import Error

        try:
            yield
        except Error as error:
            raise Problem(
                f"The database failed: {error}\nThe log of PostgreSQL: {self.state.postgres / 'log'}"
            ) from error
