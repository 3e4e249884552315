"""Django's connections around a handler, as around a request: in its own thread, and never left in a transaction."""

from __future__ import annotations

from django.db import close_old_connections, connections, reset_queries
from psycopg.pq import TransactionStatus


def before_task() -> None:
    """Do for a task what ``request_started`` does for a request. Call it in the handler's thread."""
    reset_queries()
    close_old_connections()


def after_task() -> None:
    """Do for a task what ``request_finished`` does, and drop a connection that was left inside a transaction."""
    for connection in connections.all(initialized_only=True):
        raw = connection.connection
        if connection.vendor != "postgresql" or raw is None or raw.closed:
            continue
        if connection.in_atomic_block or raw.info.transaction_status != TransactionStatus.IDLE:
            # The next task in this thread must not go on in it, nor hold its locks. Closing through Django would
            # wait for the atomic block to end, and it never will; a new wrapper starts clean.
            raw.close()
            del connections[connection.alias]
    close_old_connections()


def close_all() -> None:
    """Close this thread's connections, for good."""
    connections.close_all()
