"""The statements of the compiler that are the same on every core, each as a Query."""

from __future__ import annotations

from typing import Any

from django_pgflow.compiler.shape import FlowShape, StepShape
from django_pgflow.db.query import Query
from django_pgflow.dsl.options import Options

LOCK = 0x7067666C6F77
"""Key of the advisory lock, "pgflow" in ASCII: one process at a time compiles."""


def _nothing(row: dict[str, Any]) -> None:
    return None


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return row


def is_installed() -> Query[bool]:
    """Ask whether the core is there."""
    return Query(
        sql="select to_regclass('pgflow.flows') is not null as installed", read=lambda row: bool(row["installed"])
    )


def lock() -> Query[None]:
    """Wait until no other transaction compiles, and hold the others off until this one ends."""
    return Query(sql="select pg_advisory_xact_lock(%(key)s)", params={"key": LOCK}, read=_nothing)


def flows() -> Query[dict[str, Any]]:
    """Read all flows."""
    return Query(
        sql="select flow_slug, opt_max_attempts, opt_base_delay, opt_timeout from pgflow.flows order by flow_slug",
        read=_row,
    )


def lock_flow(flow_slug: str) -> Query[None]:
    """Hold off new runs of a flow until this transaction ends: their foreign key waits for the row."""
    return Query(
        sql="select 1 from pgflow.flows where flow_slug = %(flow_slug)s for update",
        params={"flow_slug": flow_slug},
        read=_nothing,
    )


def count_runs(flow_slug: str) -> Query[int]:
    """Count the runs of a flow."""
    return Query(
        sql="select count(*) as runs from pgflow.runs where flow_slug = %(flow_slug)s",
        params={"flow_slug": flow_slug},
        read=lambda row: int(row["runs"]),
    )


def queue_twins(flow_slug: str) -> Query[str]:
    """Look for queues whose name differs from a slug in case only, and which so have the same table."""
    return Query(
        sql="select queue_name from pgmq.list_queues() "
        "where lower(queue_name) = lower(%(flow_slug)s) and queue_name <> %(flow_slug)s",
        params={"flow_slug": flow_slug},
        read=lambda row: str(row["queue_name"]),
    )


def create_flow(flow: FlowShape) -> Query[None]:
    """Add a flow and its queue, without steps."""
    return Query(
        sql="select 1 from pgflow.create_flow(flow_slug => %(flow_slug)s, max_attempts => %(max_attempts)s::integer, "
        "base_delay => %(base_delay)s::integer, timeout => %(timeout)s::integer)",
        params={"flow_slug": flow.slug, **_options(flow.options)},
        read=_nothing,
    )


def update_flow(flow: FlowShape) -> Query[None]:
    """Set the options of a flow; runs under way follow them from now on."""
    return Query(
        sql="update pgflow.flows set opt_max_attempts = %(max_attempts)s, opt_base_delay = %(base_delay)s, "
        "opt_timeout = %(timeout)s where flow_slug = %(flow_slug)s",
        params={"flow_slug": flow.slug, **_options(flow.options)},
        read=_nothing,
    )


def move_steps_away(flow_slug: str) -> Query[None]:
    """Free the indexes of a flow's steps, so that ``update_step`` can deal them out anew."""
    return Query(
        sql="update pgflow.steps set step_index = -1 - step_index where flow_slug = %(flow_slug)s",
        params={"flow_slug": flow_slug},
        read=_nothing,
    )


def update_step(flow_slug: str, index: int, step: StepShape) -> Query[None]:
    """Set the options of a step, and its place in the order."""
    return Query(
        sql="update pgflow.steps set opt_max_attempts = %(max_attempts)s, opt_base_delay = %(base_delay)s, "
        "opt_timeout = %(timeout)s, opt_start_delay = %(start_delay)s, step_index = %(index)s "
        "where flow_slug = %(flow_slug)s and step_slug = %(step_slug)s",
        params={"flow_slug": flow_slug, "step_slug": step.slug, "index": index, **_options(step.options)},
        read=_nothing,
    )


def delete_definition(flow_slug: str) -> list[Query[None]]:
    """Delete a flow that has no runs. Its queue stays, with what is in the archive."""
    tables = ("deps", "steps", "flows")
    return [
        Query(
            sql=f"delete from pgflow.{table} where flow_slug = %(flow_slug)s",  # noqa: S608 - a constant
            params={"flow_slug": flow_slug},
            read=_nothing,
        )
        for table in tables
    ]


def _options(options: Options) -> dict[str, int | None]:
    return {
        "max_attempts": options.max_attempts,
        "base_delay": options.base_delay,
        "timeout": options.timeout,
        "start_delay": options.start_delay,
    }
