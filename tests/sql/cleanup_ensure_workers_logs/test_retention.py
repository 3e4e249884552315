"""``cleanup_ensure_workers_logs``: deletes what pg_cron logged of jobs, past a retention."""

from __future__ import annotations

from tests.fixtures.platform import Cron
from tests.fixtures.sql import Sql


def test_what_is_older_than_a_day_goes_and_is_counted(sql: Sql, cron: Cron) -> None:
    for ended in ("25 hours", "3 days", "23 hours", "1 minute"):
        cron.log(ended)
    assert sql.value("select cron_deleted from pgflow.cleanup_ensure_workers_logs()") == 2
    assert cron.log_size() == 2


def test_the_retention_can_be_given(sql: Sql, cron: Cron) -> None:
    for ended in ("25 hours", "2 hours", "1 minute"):
        cron.log(ended)
    assert sql.value("select pgflow.cleanup_ensure_workers_logs(retention_hours => 1)") == 2
    assert cron.log_size() == 1


def test_a_job_that_still_runs_stays(sql: Sql, cron: Cron) -> None:
    cron.log(None)
    assert sql.value("select pgflow.cleanup_ensure_workers_logs()") == 0
    assert cron.log_size() == 1


def test_exactly_as_old_as_the_retention_stays(sql: Sql, cron: Cron) -> None:
    cron.log("24 hours")
    assert sql.value("select pgflow.cleanup_ensure_workers_logs()") == 0
