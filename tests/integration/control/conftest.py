"""The control functions of schema ``django_pgflow``, called as SQL."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.fixtures.sql import Sql, json


def start(sql: Sql, flow_slug: str, value: Any = None, **arguments: Any) -> Any:
    """Start a run with ``django_pgflow.start_flow`` and return its record."""
    (run,) = sql.call("django_pgflow.start_flow", flow_slug=flow_slug, input=json(value), **arguments)
    return run


def cancel(sql: Sql, *run_ids: UUID, reason: str | None = None) -> list[str]:
    """Cancel runs and return the outcomes."""
    found = sql.call("django_pgflow.cancel_runs", run_ids=list(run_ids), reason=reason)
    assert [row.run_id for row in found] == list(run_ids)
    return [row.outcome for row in found]


def resume(sql: Sql, *run_ids: UUID) -> list[str]:
    """Resume runs and return the outcomes."""
    found = sql.call("django_pgflow.resume_runs", run_ids=list(run_ids))
    assert [row.run_id for row in found] == list(run_ids)
    return [row.outcome for row in found]


def restart(sql: Sql, run_id: UUID, **arguments: Any) -> Any:
    """Restart a run and return the new one."""
    (run,) = sql.call("django_pgflow.restart_run", run_id=run_id, **arguments)
    return run


def details(sql: Sql, run_id: UUID) -> Any:
    """Return the details of a run, or None."""
    rows = sql.rows("select * from django_pgflow.run_details where run_id = %(run_id)s", run_id=run_id)
    return rows[0] if rows else None
