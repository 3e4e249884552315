"""The functions: parameters by name, results, and how they are guarded."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sql

FENCE = "worker_id uuid DEFAULT NULL::uuid, attempt integer DEFAULT NULL::integer"
NULL_INTEGERS = (
    "max_attempts integer DEFAULT NULL::integer, base_delay integer DEFAULT NULL::integer, "
    "timeout integer DEFAULT NULL::integer"
)
# Name: (arguments, result)
SIGNATURES = {
    "is_valid_slug": ("slug text", "boolean"),
    "calculate_retry_delay": ("base_delay numeric, attempts_count integer", "integer"),
    "create_flow": (f"flow_slug text, {NULL_INTEGERS}", "pgflow.flows"),
    "add_step": (
        f"flow_slug text, step_slug text, deps_slugs text[] DEFAULT '{{}}'::text[], {NULL_INTEGERS}, "
        "start_delay integer DEFAULT NULL::integer, step_type text DEFAULT 'single'::text, "
        "required_input_pattern jsonb DEFAULT NULL::jsonb, forbidden_input_pattern jsonb DEFAULT NULL::jsonb, "
        "when_unmet text DEFAULT 'skip'::text, when_exhausted text DEFAULT 'fail'::text",
        "pgflow.steps",
    ),
    "start_flow": ("flow_slug text, input jsonb, run_id uuid DEFAULT NULL::uuid", "SETOF pgflow.runs"),
    "start_ready_steps": ("run_id uuid", "void"),
    "start_tasks": ("flow_slug text, msg_ids bigint[], worker_id uuid", "SETOF pgflow.step_task_record"),
    "complete_task": (
        f"run_id uuid, step_slug text, task_index integer, output jsonb, {FENCE}",
        "SETOF pgflow.step_tasks",
    ),
    "fail_task": (
        f"run_id uuid, step_slug text, task_index integer, error_message text, {FENCE}",
        "SETOF pgflow.step_tasks",
    ),
    "maybe_complete_run": ("run_id uuid", "void"),
    "set_vt_batch": (
        "queue_name text, msg_ids bigint[], vt_offsets integer[]",
        "TABLE(msg_id bigint, read_ct integer, enqueued_at timestamp with time zone, vt timestamp with time zone, "
        "message jsonb, headers jsonb)",
    ),
    "requeue_stalled_tasks": ("", "integer"),
    "delete_flow_and_data": ("p_flow_slug text", "void"),
    "track_worker_function": ("function_name text", "void"),
    "mark_worker_stopped": ("worker_id uuid", "void"),
    "is_local": ("", "boolean"),
    "cascade_resolve_conditions": ("run_id uuid", "boolean"),
    "cascade_complete_taskless_steps": ("run_id uuid", "integer"),
    "_cascade_force_skip_steps": ("run_id uuid, step_slug text, skip_reason text", "integer"),
    "_archive_task_message": ("p_run_id uuid, p_step_slug text, p_task_index integer", "void"),
    "get_run_with_states": ("run_id uuid", "jsonb"),
    "start_flow_with_states": ("flow_slug text, input jsonb, run_id uuid DEFAULT NULL::uuid", "jsonb"),
    "poll_for_tasks": (
        "queue_name text, vt integer, qty integer, max_poll_seconds integer DEFAULT 5, "
        "poll_interval_ms integer DEFAULT 100",
        "SETOF pgflow.step_task_record",
    ),
    "_get_flow_shape": ("p_flow_slug text", "jsonb"),
    "_compare_flow_shapes": ("p_local jsonb, p_db jsonb", "text[]"),
    "_create_flow_from_shape": ("p_flow_slug text, p_shape jsonb", "void"),
    "ensure_flow_compiled": ("flow_slug text, shape jsonb, allow_data_loss boolean DEFAULT false", "jsonb"),
    "setup_requeue_stalled_tasks_cron": ("cron_interval text DEFAULT '15 seconds'::text", "text"),
    "setup_ensure_workers_cron": ("cron_interval text DEFAULT '1 second'::text", "text"),
    "cleanup_ensure_workers_logs": ("retention_hours integer DEFAULT 24", "TABLE(cron_deleted bigint)"),
    "ensure_workers": ("", "TABLE(function_name text, invoked boolean, request_id bigint)"),
    "prune_data_older_than": ("retention_interval interval", "void"),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_function_has_the_signature_of_the_contract(sql: Sql, name: str) -> None:
    rows = sql.rows(
        """
        select pg_get_function_arguments(oid) as arguments, pg_get_function_result(oid) as result
        from pg_proc
        where pronamespace = 'pgflow'::regnamespace and proname = %(name)s
        """,
        name=name,
    )
    # Exactly one: an overload would make calls with named arguments ambiguous.
    assert [(row.arguments, row.result) for row in rows] == [SIGNATURES[name]]


def test_pure_functions_are_immutable(sql: Sql) -> None:
    rows = sql.rows(
        "select proname, provolatile::text from pg_proc where pronamespace = 'pgflow'::regnamespace "
        "and proname in ('is_valid_slug', 'calculate_retry_delay')"
    )
    assert {(row.proname, row.provolatile) for row in rows} == {("is_valid_slug", "i"), ("calculate_retry_delay", "i")}


def test_every_function_pins_its_search_path(sql: Sql) -> None:
    rows = sql.rows(
        """
        select oid::regprocedure::text as function
        from pg_proc
        where pronamespace in ('pgflow'::regnamespace, 'django_pgflow'::regnamespace)
          and not exists (select from unnest(proconfig) as setting where setting like 'search_path=%')
        """
    )
    assert [row.function for row in rows] == []


def test_no_function_is_executable_by_everybody(sql: Sql) -> None:
    rows = sql.rows(
        """
        select oid::regprocedure::text as function
        from pg_proc
        where pronamespace in ('pgflow'::regnamespace, 'django_pgflow'::regnamespace)
          and has_function_privilege('public', oid, 'execute')
        """
    )
    assert [row.function for row in rows] == []


@pytest.mark.parametrize("schema", ["pgflow", "django_pgflow"])
def test_a_schema_is_closed_to_everybody(sql: Sql, schema: str) -> None:
    for privilege in ("usage", "create"):
        assert not sql.value(
            "select has_schema_privilege('public', %(schema)s::text, %(privilege)s::text)",
            schema=schema,
            privilege=privilege,
        )


def test_the_core_has_neither_triggers_nor_views_nor_sequences_nor_row_security(sql: Sql) -> None:
    triggers = sql.rows(
        "select tgname from pg_trigger where not tgisinternal and tgrelid in "
        "(select oid from pg_class where relnamespace = 'pgflow'::regnamespace)"
    )
    others = sql.rows(
        "select relname from pg_class where relnamespace = 'pgflow'::regnamespace "
        "and (relkind in ('v', 'm', 'S') or relrowsecurity)"
    )
    assert (triggers, others) == ([], [])
