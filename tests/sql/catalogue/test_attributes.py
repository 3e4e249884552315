"""The functions: which are pure, and which act with the rights of their owner."""

from __future__ import annotations

from tests.fixtures.sql import Sql

WITH_RIGHTS_OF_THE_OWNER = {
    "cleanup_ensure_workers_logs",
    "get_run_with_states",
    "requeue_stalled_tasks",
    "setup_ensure_workers_cron",
    "setup_requeue_stalled_tasks_cron",
    "start_flow_with_states",
}
IMMUTABLE = {"is_valid_slug", "calculate_retry_delay"}
STABLE = {"is_local", "_get_flow_shape", "_compare_flow_shapes"}
PARALLEL_SAFE = {"calculate_retry_delay", "is_local"}


def names(sql: Sql, condition: str) -> set[str]:
    rows = sql.rows(f"select proname from pg_proc where pronamespace = 'pgflow'::regnamespace and {condition}")
    return {row.proname for row in rows}


def test_only_those_of_the_contract_act_with_the_rights_of_their_owner(sql: Sql) -> None:
    assert names(sql, "prosecdef") == WITH_RIGHTS_OF_THE_OWNER


def test_functions_are_as_pure_as_the_contract_says(sql: Sql) -> None:
    assert names(sql, "provolatile = 'i' and proname !~ '^_'") == IMMUTABLE
    assert names(sql, "provolatile = 's'") >= STABLE
    assert names(sql, "provolatile = 's' and proname !~ '^_'") == {"is_local"}
    assert names(sql, "proparallel = 's'") >= PARALLEL_SAFE


def test_no_function_is_strict(sql: Sql) -> None:
    assert names(sql, "proisstrict") == set()
