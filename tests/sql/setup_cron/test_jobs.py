"""``setup_ensure_workers_cron`` and ``setup_requeue_stalled_tasks_cron``: jobs of pg_cron."""

from __future__ import annotations

import psycopg
import pytest

from tests.fixtures.platform import Cron
from tests.fixtures.sql import Sql

REQUEUE = "select pgflow.requeue_stalled_tasks()"
PING = "select pgflow.ensure_workers()"
CLEAN_UP = "select pgflow.cleanup_ensure_workers_logs()"


def test_stalled_tasks_are_requeued_every_15_seconds(sql: Sql, cron: Cron) -> None:
    text = sql.value("select pgflow.setup_requeue_stalled_tasks_cron()")
    assert cron.jobs() == {"pgflow_requeue_stalled_tasks": ("15 seconds", REQUEUE)}
    job_id = cron.job_id("pgflow_requeue_stalled_tasks")
    assert text == f"Scheduled pgflow_requeue_stalled_tasks (every 15 seconds, job_id={job_id})"


def test_called_again_it_replaces_the_schedule_of_the_requeue(sql: Sql, cron: Cron) -> None:
    sql.value("select pgflow.setup_requeue_stalled_tasks_cron()")
    text = sql.value("select pgflow.setup_requeue_stalled_tasks_cron(cron_interval => '1 minute')")
    assert cron.jobs() == {"pgflow_requeue_stalled_tasks": ("1 minute", REQUEUE)}
    assert text.startswith("Scheduled pgflow_requeue_stalled_tasks (every 1 minute, job_id=")


def test_workers_are_pinged_every_second_and_logs_cleaned_every_hour(sql: Sql, cron: Cron) -> None:
    text = sql.value("select pgflow.setup_ensure_workers_cron()")
    assert cron.jobs() == {
        "pgflow_ensure_workers": ("1 second", PING),
        "pgflow_cleanup_logs": ("0 * * * *", CLEAN_UP),
    }
    assert text == (
        f"Scheduled pgflow_ensure_workers (every 1 second, job_id={cron.job_id('pgflow_ensure_workers')}) "
        f"and pgflow_cleanup_logs (hourly, job_id={cron.job_id('pgflow_cleanup_logs')})"
    )


def test_called_again_it_replaces_the_schedule_of_the_pings(sql: Sql, cron: Cron) -> None:
    sql.value("select pgflow.setup_ensure_workers_cron()")
    sql.value("select pgflow.setup_ensure_workers_cron(cron_interval => '7 seconds')")
    assert cron.jobs() == {
        "pgflow_ensure_workers": ("7 seconds", PING),
        "pgflow_cleanup_logs": ("0 * * * *", CLEAN_UP),
    }


def test_other_jobs_are_left_alone(sql: Sql, cron: Cron) -> None:
    sql.rows("select cron.schedule('mine', '1 day', 'select 1')")
    sql.value("select pgflow.setup_ensure_workers_cron()")
    sql.value("select pgflow.setup_requeue_stalled_tasks_cron()")
    assert cron.jobs()["mine"] == ("1 day", "select 1")


@pytest.mark.parametrize(
    "function", ["setup_ensure_workers_cron", "setup_requeue_stalled_tasks_cron", "cleanup_ensure_workers_logs"]
)
def test_without_pg_cron_the_error_names_what_is_missing(sql: Sql, function: str) -> None:
    expected = rf'schema "cron" does not exist: pgflow\.{function} needs the extension pg_cron'
    with pytest.raises(psycopg.errors.InvalidSchemaName, match=expected):
        sql.call(f"pgflow.{function}")
