"""Whether a pooler stands between the worker and the database that gives out connections by transaction.

Behind one each statement may be executed by another process of the server: what a session keeps (LISTEN, advisory
locks, prepared statements, the role) is lost, or worse, somebody else's.
"""

from __future__ import annotations

import contextlib

from django.core.exceptions import ImproperlyConfigured

from django_pgflow.worker import session

ROUNDS = 3


async def connect(one: session.Session, other: session.Session) -> bool:
    """Connect two sessions to the same database, however long it takes, and return ``pools_transactions``."""
    while True:
        await one.connect()
        await other.connect()
        with contextlib.suppress(session.ConnectionLost):
            return await pools_transactions(one, other)


async def pools_transactions(one: session.Session, other: session.Session) -> bool:
    """Find out by asking on two open connections which processes answer.

    In a session, through whatever proxy, each connection has a process of its own that stays. A pooler by transaction
    gives the one that was used last, in which case both get the same, or takes turns, in which case one that asks twice
    gets two.

    Args:
        one: A session that is connected.
        other: Another to the same database.

    Raises:
        ConnectionLost: As ``Session.run`` does.
        ImproperlyConfigured: The settings want what is impossible through such a pooler.
    """
    if one.direct and other.direct:
        return False
    pids: dict[session.Session, set[int]] = {one: set(), other: set()}
    for asked in (one, other, other, one) * ROUNDS:
        pids[asked].update(await asked.run(session.BACKEND))
    if len(pids[one]) == len(pids[other]) == 1 and pids[one] != pids[other]:
        return False
    if one.role:
        raise ImproperlyConfigured(
            f"The database connection goes through a transaction pooler, where the assume_role {one.role!r} of its "
            "OPTIONS would reach other clients, too. Log in as that role, or let the login have it from the start: "
            f"`alter role <login> set role = {one.role}`."
        )
    return True
