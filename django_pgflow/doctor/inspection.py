"""Asks a database how it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from django.db import connections, transaction
from django.db.utils import Error

from django_pgflow import compiler, conf, registry
from django_pgflow.db.capabilities import Capabilities
from django_pgflow.db.core import choice
from django_pgflow.doctor import abilities, statements
from django_pgflow.doctor.diagnosis import Diagnosis, Level
from django_pgflow.worker import session

PATIENCE = 30
"""Seconds that a question may take."""
SHOWN = 5
"""Things that are named of many."""


def examine(alias: str) -> Diagnosis:
    """Look at everything; change nothing.

    Raises:
        django.db.utils.OperationalError: The database cannot be reached.
    """
    return _Examination(alias).diagnosis


class _Examination:
    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.connection = connections[alias]
        self.diagnosis = Diagnosis()
        if self.connection.vendor != "postgresql":
            self._broken("no_postgres", f"pgflow needs PostgreSQL; the database is {self.connection.vendor}.")
            return
        self.found = choice.probe(alias)
        self._facts()
        if not self._core():
            return
        self._queue()
        self._guard("grants", self._grants)
        self._guard("stuck", self._stuck)
        self._guard("queues", self._queues)
        self._guard("workers", self._workers)
        if self.found.is_foreign:
            self.diagnosis.findings.extend(abilities.missing(self.found))
            self.diagnosis.findings.extend(abilities.dangers(self.found))
            self._guard("dangers", self._dangers)
            self._guard("left_alone", self._left_alone)
        else:
            self._listen()

    # -- what is there

    def _facts(self) -> None:
        (server,) = self._rows(statements.SERVER)
        facts = self.diagnosis.facts
        facts["database"] = f"{self.alias}: {server['name']}, PostgreSQL {server['version']}"
        facts["role"] = server["role"]
        facts["core"] = _core_text(self.found)
        facts["schema django_pgflow"] = "installed" if self.found.is_beside else "not installed"
        level = self.found.pgmq_level
        extension = f"extension {server['pgmq_version']}" if server["pgmq_version"] else "no extension, SQL only"
        facts["pgmq"] = f"{level} ({extension})" if level else "not installed"
        if server["is_standby"]:
            self._broken("standby", "The server is a standby: nothing can be written. Use the primary.")

    def _core(self) -> bool:
        """Say whether there is a core that can be looked at."""
        found = self.found
        if "pgflow" not in found.marks:
            self._broken("not_installed", "There is no pgflow here. Run `manage.py migrate`.")
        elif not found.is_installed:
            self._broken(
                "no_core", "The schema 'pgflow' is somebody else's and no pgflow core; see `manage.py migrate`."
            )
        elif not found.has_maps:
            self._broken("too_old", f"The core is {found.version_name}; django-pgflow works with 0.7 and later.")
        else:
            if not found.is_beside:
                self._broken("not_migrated", "The schema 'django_pgflow' is missing. Run `manage.py migrate`.")
            return True
        return False

    def _queue(self) -> None:
        level, since = self.found.pgmq_level, self.found.version[0] or ""
        if level is None:
            self._broken(
                "no_pgmq", "There is no pgmq, without which no task can be queued. Install it as the core's was."
            )
        elif level == "before 1.5.0" and since not in ("0.7.0",):
            self._broken("old_pgmq", "pgmq is older than 1.5.0, which the core needs: `alter extension pgmq update`.")
        if not any(name.startswith("realtime.send(") for name in self.found.functions) and self._value(
            statements.CALLS_REALTIME
        ):
            self._broken(
                "no_realtime",
                "The core calls realtime.send(jsonb, text, text, boolean), which is missing: starting a run fails. "
                "Create the schema and a function of that signature.",
            )

    def _listen(self) -> None:
        if not conf.get().WORKER.listen:
            self.diagnosis.facts["LISTEN"] = "not used: PGFLOW['WORKER']['listen'] is off"
            return
        try:
            works = _hears(self.alias)
        except psycopg.Error as error:
            self.diagnosis.facts["LISTEN"] = f"could not be tried: {session.one_line(error)}"
            return
        if works is None:
            self.diagnosis.facts["LISTEN"] = "not possible through the transaction pooler; workers poll"
            return
        self.diagnosis.facts["LISTEN"] = "possible" if works else "not possible"
        if not works:
            self._broken(
                "no_listen",
                "A notification did not arrive; is a transaction pooler between? Workers then find work late: start "
                "them with --no-listen or set PGFLOW['WORKER']['listen'] to False, so that they poll.",
            )

    # -- what is wrong

    def _grants(self) -> None:
        lacking = self._rows(statements.GRANTS)
        if lacking:
            listed = _some([f"{row['privilege']} on {row['name']}" for row in lacking])
            self._broken("grants", f"The role {self.diagnosis.facts['role']!r} lacks privileges: {listed}.")

    def _stuck(self) -> None:
        if "pgflow.step_tasks.permanently_stalled_at" in self.found.columns:
            self._tasks(
                "stalled_for_good",
                statements.STALLED_FOR_GOOD,
                "were given up after their workers died, and their runs will never end by themselves",
            )
        overdue = "are started and overdue, their workers silent"
        if self.found.has_requeue:
            overdue += " (a worker gives them back when it next looks; does one run?)"
        else:
            overdue += ", and this core never gives them back. Fail them by hand: `select pgflow.fail_task(...)`"
        self._tasks("overdue", statements.OVERDUE, overdue)
        rows = self._rows(statements.RUNS_WITHOUT_TASKS)
        if rows:
            listed = _some([str(row["run_id"]) for row in rows])
            self._broken("runs_without_tasks", f"Runs that are started and have no task to wait for: {listed}.")

    def _tasks(self, code: str, query: str, text: str) -> None:
        rows = self._rows(query)
        if rows:
            listed = _some([f"{row['run_id']} {row['step_slug']}[{row['task_index']}]" for row in rows])
            self._broken(code, f"Tasks that {text}: {listed}.")

    def _queues(self) -> None:
        for row in self._rows(statements.FLOWS):
            flow_slug = row["flow_slug"]
            if not row["has_queue"]:
                self._broken("no_queue", f"The flow {flow_slug!r} has no queue: `select pgmq.create('{flow_slug}')`.")
                continue
            rows = self._rows(statements.unannounced(row["queue_table"]), flow_slug=flow_slug)
            if rows:
                listed = _some([f"{row['run_id']} {row['step_slug']}[{row['task_index']}]" for row in rows])
                self._broken("no_message", f"Tasks that are queued without a message, so never claimed: {listed}.")

    def _workers(self) -> None:
        names = [row["function_name"] for row in self._rows(statements.LIVE_WORKERS)]
        self.diagnosis.facts["live workers"] = f"{len(names)}: {_some(names)}" if names else "none"

    def _dangers(self) -> None:
        add = self.diagnosis.add
        slow = self._rows(statements.SLOW_STEPS) if self.found.has_requeue else []
        if slow:
            listed = _some([f"{row['flow_slug']}.{row['step_slug']} ({row['timeout']} s)" for row in slow])
            add(
                Level.DANGEROUS,
                "step_timeouts",
                "Tasks of these steps are given to another worker while they still run, because the core looks at the "
                f"timeout of the flow: {listed}. Give the flow their timeout.",
            )
        overflowing = self._rows(statements.OVERFLOWING)
        if overflowing:
            listed = _some([row["name"] for row in overflowing])
            add(
                Level.DANGEROUS,
                "delay_overflow",
                f"The last retries of these cannot be reported, because their delay exceeds an integer: {listed}. "
                "Lower max_attempts or base_delay.",
            )
        if self._value(statements.IS_LOCAL):
            add(
                Level.DANGEROUS,
                "is_local",
                "app.settings.jwt_secret marks the database as a local one: a worker of others that finds changed "
                "steps deletes the flow with its runs.",
            )

    def _left_alone(self) -> None:
        add = self.diagnosis.add
        add(Level.LEFT_ALONE, "schemas", "The schemas pgflow and pgmq: neither changed by migrate nor removed.")
        orphans = compiler.orphans(registry.all_flows(), using=self.alias)
        if orphans:
            add(Level.LEFT_ALONE, "flows", f"Flows that are not in the code: {_some(orphans)}.")
        queues = [row["queue_name"] for row in self._rows(statements.OTHER_QUEUES)]
        if queues:
            add(Level.LEFT_ALONE, "queues", f"Queues of no flow: {_some(queues)}.")
        if self._value("select to_regclass('cron.job') is not null as value"):
            jobs = [row["job"] for row in self._rows(statements.JOBS)]
            if jobs:
                add(Level.LEFT_ALONE, "jobs", f"Jobs of pg_cron: {_some(jobs)}.")

    # -- asking

    def _rows(self, query: str, **params: Any) -> list[dict[str, Any]]:
        with transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
            cursor.execute(f"set local statement_timeout = '{PATIENCE}s'")
            cursor.execute(query, params or None)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _value(self, query: str) -> Any:
        (row,) = self._rows(query)
        return row["value"]

    def _guard(self, subject: str, ask: Callable[[], None]) -> None:
        try:
            ask()
        except Error as error:
            self._broken(
                f"unknown_{subject}", f"Could not look at {subject.replace('_', ' ')}: {session.one_line(error)}"
            )

    def _broken(self, code: str, text: str) -> None:
        self.diagnosis.add(Level.BROKEN, code, text)


def _core_text(found: Capabilities) -> str:
    if "pgflow" not in found.marks:
        return "none"
    if found.is_ours:
        return "installed by django-pgflow, with the functions of pgflow 0.14"
    return f"not ours: {found.version_name}"


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _hears(alias: str) -> bool | None:
    """Return whether a notification gets from one connection to another; None if a pooler is in the way."""
    parameters = {**session.parameters(alias, "doctor"), "autocommit": True}
    with psycopg.connect(**parameters) as listener, psycopg.connect(**parameters) as sender:
        listener.execute("listen pgflow_doctor")
        sender.execute("notify pgflow_doctor")
        if any(True for _ in listener.notifies(timeout=2, stop_after=1)):
            return True
        # A pooler invents the process id that it tells at login. The worker finds out by itself, and polls.
        row = sender.execute("select pg_backend_pid()").fetchone()
        return False if row is not None and row[0] == sender.info.backend_pid else None
