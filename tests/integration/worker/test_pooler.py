"""What the worker finds out about its connections, and how it uses them then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from django_pgflow.db.query import Query
from django_pgflow.worker import pooler, session
from tests.fixtures.worker import database_url, query


@pytest.fixture
def add_database(transactional_db: None) -> Iterator[Callable[..., str]]:
    """Return a function that makes a database alias of a URL."""
    added: list[str] = []

    def add(url: str, **options: Any) -> str:
        alias = f"added_{len(added)}"
        config = {**environ.Env.db_url_config(url), "OPTIONS": options}
        connections.settings[alias] = connections.configure_settings({"default": {}, alias: config})[alias]
        added.append(alias)
        return alias

    yield add
    for alias in added:
        del connections.settings[alias]
        with contextlib.suppress(AttributeError):
            del connections[alias]


@contextlib.asynccontextmanager
async def two_sessions(alias: str) -> AsyncIterator[tuple[session.Session, session.Session]]:
    health = session.Health()
    both = session.Session(alias, "exchange", health), session.Session(alias, "lifecycle", health)
    try:
        for one in both:
            await asyncio.wait_for(one.connect(), 20)
        yield both
    finally:
        for one in both:
            await one.close()


def pools_transactions(alias: str) -> bool:
    async def ask() -> bool:
        async with two_sessions(alias) as both:
            return await pooler.pools_transactions(*both)

    return asyncio.run(ask())


def test_a_direct_connection_is_no_pooler(transactional_db):
    assert pools_transactions("default") is False


def test_a_pooler_by_session_does_no_harm(start_pgbouncer, add_database):
    pgbouncer = start_pgbouncer(pool_mode="session")
    assert pools_transactions(add_database(pgbouncer.url(database_url()), assume_role="postgres")) is False


@pytest.mark.parametrize("size", [1, 2, 3, 20])
@pytest.mark.parametrize("in_turn", [0, 1])
def test_a_pooler_by_transaction_is_found(start_pgbouncer, add_database, size, in_turn):
    pgbouncer = start_pgbouncer(pool_mode="transaction", default_pool_size=size, server_round_robin=in_turn)
    alias = add_database(pgbouncer.url(database_url()))
    warm(alias, size)
    assert pools_transactions(alias) is True


def warm(alias: str, count: int) -> None:
    """Let the pooler open all its connections to the server."""

    async def main() -> None:
        sessions = [session.Session(alias, "other", session.Health()) for _ in range(count)]
        for one in sessions:
            await asyncio.wait_for(one.connect(), 20)
        sleep = Query(sql="select pg_sleep(0.2)", read=lambda row: row)
        await asyncio.gather(*(one.run(sleep) for one in sessions))
        for one in sessions:
            await one.close()

    asyncio.run(main())


def test_a_role_of_the_session_is_refused_behind_a_pooler_by_transaction(pgbouncer, add_database):
    alias = add_database(pgbouncer.url(database_url()), assume_role="postgres")
    with pytest.raises(ImproperlyConfigured, match="assume_role 'postgres' of its OPTIONS would reach other clients"):
        pools_transactions(alias)


PREPARED = Query(sql="select count(*)::int as count from pg_prepared_statements", read=lambda row: row["count"])


def often(alias: str) -> list[Any]:
    """Execute a statement many times on two connections in turn, and return how many are prepared then."""
    statement = Query(sql="select %(number)s::int as number", params={"number": 7}, read=lambda row: row["number"])

    async def main() -> list[Any]:
        async with two_sessions(alias) as both:
            for _ in range(session.PREPARE_AFTER * 2):
                assert await asyncio.gather(*(one.run(statement) for one in both)) == [[7], [7]]
            return [await one.run(PREPARED) for one in both]

    return asyncio.run(main())


def test_statements_that_come_often_are_prepared(transactional_db):
    assert often("default") == [[1], [1]]


def test_nothing_is_prepared_behind_a_pooler(pgbouncer, add_database):
    assert often(add_database(pgbouncer.url(database_url()))) == [[0], [0]]


def test_a_migration_that_changes_a_prepared_statement_costs_a_reconnection(transactional_db):
    look = Query(sql="select * from probe_of_prepared()", read=dict)
    query("create function probe_of_prepared() returns table (a int) language sql as 'select 1'")

    async def main() -> list[Any]:
        async with two_sessions("default") as (one, other):
            for _ in range(session.PREPARE_AFTER * 2):
                await one.run(look)
            await other.run(Query(sql="drop function probe_of_prepared()", read=dict))
            changed = "create function probe_of_prepared() returns table (a int, b int) language sql as 'select 1, 2'"
            await other.run(Query(sql=changed, read=dict))
            with pytest.raises(session.ConnectionLost):
                await one.run(look)
            await one.connect()
            return await one.run(look)

    try:
        assert asyncio.run(main()) == [{"a": 1, "b": 2}]
    finally:
        query("drop function probe_of_prepared()")
