"""pgflow 0.7 and 0.8: workers have no end, flows are never deleted.

The input of a single step holds the key ``run`` here; the worker gives it that key on later cores, so there is no
difference to make up for.
"""

from __future__ import annotations

from uuid import UUID

from django_pgflow.db.core.v0_12 import CoreV012
from django_pgflow.db.query import Query


class CoreV07(CoreV012):
    """To be deleted when pgflow 0.9 is no longer met."""

    def mark_worker_stopped(self, worker_id: UUID) -> Query[None]:
        """Do nothing: there is no column for it; the heartbeat ends."""
        return Query(sql="select 1 where false", read=lambda row: None)
