"""Giving back what dead workers held, and what is left to do."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django_pgflow.db.core.current import Core
from django_pgflow.db.query import Query

SWEEP_LOCK = 0x7067666C  # "pgfl"
"""Advisory lock, held by the transaction that sweeps."""


def sweep(core: Core) -> Query[int | None]:
    """Give back the tasks that fell silent, unless another worker is doing so.

    Returns:
        A row that counts them; None if another worker has the lock.

    Raises:
        NotSupported: The core never gives tasks back.
    """
    query = core.requeue_stalled_tasks()
    return Query(
        sql=f"select case when pg_catalog.pg_try_advisory_xact_lock(%(lock)s) then ({query.sql}) end as requeued",
        params={**query.params, "lock": SWEEP_LOCK},
        read=lambda row: row["requeued"],
    )


def forget_waiting(worker_id: UUID) -> Query[None]:
    """Note that a worker waits no more, nor any worker that ended or fell silent long ago.

    Whoever queues a task sends a notification while a worker is noted as waiting, and notifications cost.
    """
    return Query(
        sql="""
            delete from django_pgflow.waiting_workers w
            where w.worker_id = %(worker_id)s
               or not exists (
                 select from pgflow.workers k
                 where k.worker_id = w.worker_id
                   and k.stopped_at is null
                   and k.last_heartbeat_at > clock_timestamp() - interval '5 minutes'
               )
        """,
        params={"worker_id": worker_id},
        read=lambda row: None,
    )


def has_work(flow_slugs: Sequence[str]) -> Query[bool]:
    """Ask whether any run of these flows has a task that is queued, due or not, or in some worker's hands."""
    return Query(
        sql="""
            select exists (
              select 1
              from pgflow.runs r
              join pgflow.step_tasks t on t.run_id = r.run_id
              where r.status = 'started'
                and r.flow_slug = any(%(flow_slugs)s::text[])
                and t.status in ('queued', 'started')
                and t.permanently_stalled_at is null
            ) as has_work
        """,
        params={"flow_slugs": list(flow_slugs)},
        read=lambda row: bool(row["has_work"]),
    )
