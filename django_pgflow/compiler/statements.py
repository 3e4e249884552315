"""The statements of the compiler, each as a Query."""

from __future__ import annotations

from collections.abc import Sequence
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


def steps(flow_slugs: Sequence[str]) -> Query[dict[str, Any]]:
    """Read the steps of flows, in order of their index, each with the slugs of its dependencies."""
    return Query(
        sql="""
            select s.flow_slug, s.step_slug, s.step_type,
              s.opt_max_attempts, s.opt_base_delay, s.opt_timeout, s.opt_start_delay,
              s.required_input_pattern::text, s.forbidden_input_pattern::text, s.when_unmet, s.when_exhausted,
              array(
                select d.dep_slug
                from pgflow.deps d
                where d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
                order by d.dep_slug
              ) as dependencies
            from pgflow.steps s
            where s.flow_slug = any(%(flow_slugs)s::text[])
            order by s.flow_slug, s.step_index
        """,
        params={"flow_slugs": list(flow_slugs)},
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


def add_step(flow_slug: str, step: StepShape) -> Query[None]:
    """Add a step behind the steps that the flow has."""
    return Query(
        sql="""
            select 1 from pgflow.add_step(
              flow_slug => %(flow_slug)s,
              step_slug => %(step_slug)s,
              deps_slugs => %(dependencies)s::text[],
              max_attempts => %(max_attempts)s::integer,
              base_delay => %(base_delay)s::integer,
              timeout => %(timeout)s::integer,
              start_delay => %(start_delay)s::integer,
              step_type => %(step_type)s,
              required_input_pattern => %(required_input_pattern)s::jsonb,
              forbidden_input_pattern => %(forbidden_input_pattern)s::jsonb,
              when_unmet => %(when_unmet)s,
              when_exhausted => %(when_exhausted)s
            )
        """,
        params={
            "flow_slug": flow_slug,
            "step_slug": step.slug,
            "dependencies": list(step.dependencies),
            "step_type": step.step_type,
            "required_input_pattern": step.required_input_pattern,
            "forbidden_input_pattern": step.forbidden_input_pattern,
            "when_unmet": step.when_unmet,
            "when_exhausted": step.when_exhausted,
            **_options(step.options),
        },
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


def delete_flow_and_data(flow_slug: str) -> Query[None]:
    """Delete a flow with all its runs and its queue."""
    return Query(
        sql="select pgflow.delete_flow_and_data(%(flow_slug)s)", params={"flow_slug": flow_slug}, read=_nothing
    )


def _options(options: Options) -> dict[str, int | None]:
    return {
        "max_attempts": options.max_attempts,
        "base_delay": options.base_delay,
        "timeout": options.timeout,
        "start_delay": options.start_delay,
    }
