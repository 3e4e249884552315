"""``ensure_workers``: pings the deployed functions that should have a worker."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.fixtures.platform import Network, Vault
from tests.fixtures.sql import Sql

PROJECT = "https://shop.supabase.co/functions/v1"


@pytest.fixture
def local(sql: Sql) -> None:
    """Be in local development."""
    sql.rows(
        "select set_config('app.settings.jwt_secret', 'super-secret-jwt-token-with-at-least-32-characters-long', true)"
    )


@pytest.fixture
def secrets(vault: Vault) -> Vault:
    """Be a project that knows its name and a token."""
    vault.keep(supabase_project_id="shop", supabase_service_role_key="token")
    return vault


def register(sql: Sql, name: str, last_invoked: str | None = None, **columns: Any) -> None:
    """Register a function that was last pinged so long ago."""
    sql.rows(
        "insert into pgflow.worker_functions (function_name, enabled, debounce, last_invoked_at) "
        "values (%(name)s, %(enabled)s, %(debounce)s::interval, now() - %(ago)s::interval)",
        name=name,
        ago=last_invoked,
        **{"enabled": True, "debounce": "6 seconds", **columns},
    )


def have_worker(sql: Sql, function_name: str, heartbeat: str = "1 second", **ended: bool) -> None:
    """Let a function have a worker that was heard of so long ago."""
    worker_id = sql.worker(function_name=function_name)
    sql.rows(
        "update pgflow.workers set last_heartbeat_at = now() - %(ago)s::interval, "
        "stopped_at = case when %(stopped)s then now() end, deprecated_at = case when %(deprecated)s then now() end "
        "where worker_id = %(id)s",
        id=worker_id,
        ago=heartbeat,
        **{"stopped": False, "deprecated": False, **ended},
    )


def ping(sql: Sql) -> set[str]:
    return {row.function_name for row in sql.rows("select * from pgflow.ensure_workers()")}


def test_a_function_is_pinged_at_the_project_with_the_token(sql: Sql, network: Network, secrets: Vault) -> None:
    register(sql, "mails")
    row = sql.row("select * from pgflow.ensure_workers()")
    (request,) = network.requests()
    assert (row.function_name, row.invoked, row.request_id) == ("mails", True, request.id)
    assert (request.url, request.body) == (f"{PROJECT}/mails", {})
    assert request.headers == {"Content-Type": "application/json", "Authorization": "Bearer token"}


def test_the_token_of_pgflow_goes_before_that_of_the_service(sql: Sql, network: Network, secrets: Vault) -> None:
    secrets.keep(pgflow_auth_secret="ours")
    register(sql, "mails")
    ping(sql)
    assert network.requests()[0].headers["Authorization"] == "Bearer ours"


def test_an_empty_token_counts_as_missing(sql: Sql, network: Network, secrets: Vault) -> None:
    secrets.keep(pgflow_auth_secret="")
    register(sql, "mails")
    ping(sql)
    assert network.requests()[0].headers["Authorization"] == "Bearer token"


@pytest.mark.parametrize("missing", ["supabase_project_id", "supabase_service_role_key"])
def test_without_address_or_token_nothing_is_done_silently(
    sql: Sql, network: Network, secrets: Vault, missing: str
) -> None:
    secrets.keep(**{missing: ""})
    register(sql, "mails")
    assert ping(sql) == set()
    assert network.requests() == []
    assert sql.value("select last_invoked_at from pgflow.worker_functions") is None


def test_local_development_needs_no_vault_and_sends_no_token(sql: Sql, network: Network, local: None) -> None:
    register(sql, "mails")
    assert ping(sql) == {"mails"}
    (request,) = network.requests()
    assert (request.url, request.headers) == ("http://kong:8000/functions/v1/mails", {})


def test_local_development_pings_despite_a_live_worker_and_debounce(sql: Sql, network: Network, local: None) -> None:
    register(sql, "mails", "1 second")
    have_worker(sql, "mails")
    assert ping(sql) == {"mails"}


def test_local_development_pings_all_enabled_functions(sql: Sql, network: Network, local: None) -> None:
    register(sql, "mails")
    register(sql, "films", "1 second")
    register(sql, "off", enabled=False)
    assert ping(sql) == {"films", "mails"}


def test_a_recent_ping_suppresses_and_an_older_or_missing_one_does_not(
    sql: Sql, network: Network, secrets: Vault
) -> None:
    register(sql, "recent", "5 seconds")
    register(sql, "older", "7 seconds")
    register(sql, "never")
    assert ping(sql) == {"older", "never"}


def test_the_debounce_is_that_of_the_function(sql: Sql, network: Network, secrets: Vault) -> None:
    register(sql, "patient", "20 seconds", debounce="1 minute")
    register(sql, "eager", "20 seconds", debounce="10 seconds")
    assert ping(sql) == {"eager"}


def test_a_disabled_function_is_never_pinged(sql: Sql, network: Network, secrets: Vault) -> None:
    register(sql, "off", enabled=False)
    assert ping(sql) == set()
    assert network.requests() == []


def test_each_function_gets_a_request_of_its_own(sql: Sql, network: Network, secrets: Vault) -> None:
    register(sql, "mails")
    register(sql, "films")
    rows = sql.rows("select * from pgflow.ensure_workers()")
    assert [request.url for request in network.requests()] == [f"{PROJECT}/films", f"{PROJECT}/mails"]
    assert {row.request_id for row in rows} == {request.id for request in network.requests()}
    assert all(row.invoked and row.request_id > 0 for row in rows)


def test_a_ping_is_noted_by_the_clock_and_so_debounces_the_next(sql: Sql, network: Network, secrets: Vault) -> None:
    register(sql, "mails", "1 hour")
    assert ping(sql) == {"mails"}
    assert sql.value("select last_invoked_at > now() from pgflow.worker_functions")
    assert ping(sql) == set()


def test_a_function_with_a_live_worker_is_left_alone(sql: Sql, network: Network, secrets: Vault) -> None:
    register(sql, "mails")
    have_worker(sql, "mails")
    assert ping(sql) == set()


@pytest.mark.parametrize("worker", [{"stopped": True}, {"deprecated": True}, {"heartbeat": "7 seconds"}])
def test_a_worker_that_is_stopped_deprecated_or_silent_does_not_count(
    sql: Sql, network: Network, secrets: Vault, worker: dict[str, Any]
) -> None:
    register(sql, "mails")
    have_worker(sql, "mails", **worker)
    assert ping(sql) == {"mails"}


def test_the_debounce_says_how_long_a_silent_worker_counts_as_live(sql: Sql, network: Network, secrets: Vault) -> None:
    register(sql, "mails", debounce="10 seconds")
    have_worker(sql, "mails", heartbeat="7 seconds")
    assert ping(sql) == set()


def test_one_live_worker_among_dead_ones_suffices(sql: Sql, network: Network, secrets: Vault) -> None:
    register(sql, "mails")
    have_worker(sql, "mails", stopped=True)
    have_worker(sql, "mails", heartbeat="1 hour")
    have_worker(sql, "mails")
    assert ping(sql) == set()


def test_the_worker_of_another_function_does_not_count(sql: Sql, network: Network, secrets: Vault) -> None:
    register(sql, "mails")
    have_worker(sql, "films")
    assert ping(sql) == {"mails"}


def test_without_pg_net_the_error_names_what_is_missing(sql: Sql) -> None:
    expected = r'schema "net" does not exist: pgflow\.ensure_workers needs the extension pg_net'
    with pytest.raises(psycopg.errors.InvalidSchemaName, match=expected):
        sql.call("pgflow.ensure_workers")


def test_without_a_vault_the_error_names_what_is_missing(sql: Sql, network: Network) -> None:
    expected = r'schema "vault" does not exist: pgflow\.ensure_workers needs the extension supabase_vault'
    with pytest.raises(psycopg.errors.InvalidSchemaName, match=expected):
        sql.call("pgflow.ensure_workers")
