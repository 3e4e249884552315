"""The named constraints of each table."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sql

KEYS = {
    "flows": """
        flows_pkey PRIMARY KEY (flow_slug)
    """,
    "steps": """
        steps_pkey PRIMARY KEY (flow_slug, step_slug)
        steps_flow_slug_step_index_key UNIQUE (flow_slug, step_index)
        steps_flow_slug_fkey FOREIGN KEY (flow_slug) REFERENCES pgflow.flows(flow_slug)
    """,
    "deps": """
        deps_pkey PRIMARY KEY (flow_slug, dep_slug, step_slug)
        deps_flow_slug_fkey FOREIGN KEY (flow_slug) REFERENCES pgflow.flows(flow_slug)
        deps_flow_slug_dep_slug_fkey FOREIGN KEY (flow_slug, dep_slug) REFERENCES pgflow.steps(flow_slug, step_slug)
        deps_flow_slug_step_slug_fkey FOREIGN KEY (flow_slug, step_slug) REFERENCES pgflow.steps(flow_slug, step_slug)
    """,
    "runs": """
        runs_pkey PRIMARY KEY (run_id)
        runs_flow_slug_fkey FOREIGN KEY (flow_slug) REFERENCES pgflow.flows(flow_slug)
    """,
    "step_states": """
        step_states_pkey PRIMARY KEY (run_id, step_slug)
        step_states_flow_slug_fkey FOREIGN KEY (flow_slug) REFERENCES pgflow.flows(flow_slug)
        step_states_run_id_fkey FOREIGN KEY (run_id) REFERENCES pgflow.runs(run_id)
        step_states_flow_slug_step_slug_fkey FOREIGN KEY (flow_slug, step_slug) REFERENCES pgflow.steps(flow_slug, step_slug)
    """,  # noqa: E501 - a line a constraint
    "step_tasks": """
        step_tasks_pkey PRIMARY KEY (run_id, step_slug, task_index)
        step_tasks_flow_slug_fkey FOREIGN KEY (flow_slug) REFERENCES pgflow.flows(flow_slug)
        step_tasks_run_id_fkey FOREIGN KEY (run_id) REFERENCES pgflow.runs(run_id)
        step_tasks_run_id_step_slug_fkey FOREIGN KEY (run_id, step_slug) REFERENCES pgflow.step_states(run_id, step_slug)
        step_tasks_last_worker_id_fkey FOREIGN KEY (last_worker_id) REFERENCES pgflow.workers(worker_id) ON DELETE SET NULL
    """,  # noqa: E501 - a line a constraint
    "workers": """
        workers_pkey PRIMARY KEY (worker_id)
    """,
    "worker_functions": """
        worker_functions_pkey PRIMARY KEY (function_name)
    """,
}

CHECKS = {
    "flows": "slug_is_valid opt_max_attempts_is_nonnegative opt_base_delay_is_nonnegative opt_timeout_is_positive",
    "steps": """
        steps_step_slug_check steps_step_type_check steps_deps_count_check opt_max_attempts_is_nonnegative
        opt_base_delay_is_nonnegative opt_timeout_is_positive opt_start_delay_is_nonnegative
        required_input_pattern_is_object forbidden_input_pattern_is_object when_unmet_is_valid when_exhausted_is_valid
    """,
    "deps": "deps_check",
    "runs": """
        status_is_valid runs_remaining_steps_check completed_at_or_failed_at completed_at_is_after_started_at
        failed_at_is_after_started_at
    """,
    "step_states": """
        status_is_valid status_and_remaining_tasks_match remaining_tasks_state_consistency
        initial_tasks_known_when_started step_states_initial_tasks_check step_states_remaining_deps_check
        output_only_for_completed_or_null skip_reason_matches_status completed_at_or_failed_at_or_skipped_at
        started_at_is_after_created_at completed_at_is_after_started_at failed_at_is_after_started_at
        skipped_at_is_after_created_at
    """,
    "step_tasks": """
        valid_status output_valid_only_for_completed attempts_count_nonnegative completed_at_or_failed_at
        completed_at_is_after_queued_at failed_at_is_after_queued_at started_at_is_after_queued_at
        completed_at_is_after_started_at failed_at_is_after_started_at
    """,
    "workers": "",
    "worker_functions": "worker_functions_debounce_check",
}

OURS = {"forgiven_count_is_part_of_attempts_count"}
"""Checks on columns that the contract does not know."""

CONSTRAINTS = """
    select conname, contype::text, pg_get_constraintdef(oid) as definition
    from pg_constraint
    where conrelid = ('pgflow.' || %(table)s)::regclass and contype in ('p', 'u', 'f', 'c')
"""


@pytest.mark.parametrize("table", KEYS)
def test_keys_are_those_of_the_contract(sql: Sql, table: str) -> None:
    rows = sql.rows(CONSTRAINTS, table=table)
    found = {f"{row.conname} {row.definition}" for row in rows if row.contype != "c"}
    assert found == {line.strip() for line in KEYS[table].strip().splitlines()}


@pytest.mark.parametrize("table", CHECKS)
def test_checks_have_the_names_of_the_contract(sql: Sql, table: str) -> None:
    rows = sql.rows(CONSTRAINTS, table=table)
    assert {row.conname for row in rows if row.contype == "c"} - OURS == set(CHECKS[table].split())
