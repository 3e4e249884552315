"""Django's connections around a handler, as around a request: in its own thread, and never left in a transaction."""

from __future__ import annotations

from django.db import close_old_connections, connections, reset_queries
from psycopg.pq import TransactionStatus


def before_task() -> None:
    """Do for a task what ``request_started`` does for a request. Call it in the handler's thread."""
    reset_queries()
    close_old_connections()


def after_task() -> None:
    """Do for a task what ``request_finished`` does, and drop a connection that was left inside a transaction.

    Raises:
        RuntimeError: There was one; what the handler wrote in it is lost.
    """
    left_open = []
    for connection in connections.all(initialized_only=True):
        raw = connection.connection
        if connection.vendor != "postgresql" or raw is None or raw.closed:
            continue
        # With autocommit off Django drops the connection itself, as after a request.
        in_transaction = raw.info.transaction_status != TransactionStatus.IDLE and connection.autocommit
        if connection.in_atomic_block or in_transaction:
            # The next task in this thread must not go on in it, nor hold its locks. Closing through Django would
            # wait for the atomic block to end, and it never will; a new wrapper starts clean.
            raw.close()
            del connections[connection.alias]
            left_open.append(connection.alias)
    close_old_connections()
    if left_open:
        raise RuntimeError(
            f"The handler left a transaction open on database {', '.join(left_open)}, which was rolled back."
        )


def close_all() -> None:
    """Close this thread's connections, for good."""
    connections.close_all()
