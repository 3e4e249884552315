"""What each check refuses, and what it allows."""

from __future__ import annotations

import psycopg
import pytest

from tests.fixtures.sql import Sql

# (table, an update of its only row, the check that refuses it)
REFUSED = [
    ("flows", "opt_max_attempts = -1", "opt_max_attempts_is_nonnegative"),
    ("flows", "opt_base_delay = -1", "opt_base_delay_is_nonnegative"),
    ("flows", "opt_timeout = 0", "opt_timeout_is_positive"),
    ("steps", "step_type = 'loop'", "steps_step_type_check"),
    ("steps", "deps_count = -1", "steps_deps_count_check"),
    ("steps", "opt_max_attempts = -1", "opt_max_attempts_is_nonnegative"),
    ("steps", "opt_base_delay = -1", "opt_base_delay_is_nonnegative"),
    ("steps", "opt_timeout = 0", "opt_timeout_is_positive"),
    ("steps", "opt_start_delay = -1", "opt_start_delay_is_nonnegative"),
    ("steps", "required_input_pattern = '[]'", "required_input_pattern_is_object"),
    ("steps", "required_input_pattern = 'null'", "required_input_pattern_is_object"),
    ("steps", "forbidden_input_pattern = '\"x\"'", "forbidden_input_pattern_is_object"),
    ("steps", "when_unmet = 'ignore'", "when_unmet_is_valid"),
    ("steps", "when_exhausted = 'ignore'", "when_exhausted_is_valid"),
    ("runs", "status = 'cancelled'", "status_is_valid"),
    ("runs", "remaining_steps = -1", "runs_remaining_steps_check"),
    ("runs", "completed_at = now(), failed_at = now()", "completed_at_or_failed_at"),
    ("runs", "completed_at = started_at - interval '1 second'", "completed_at_is_after_started_at"),
    ("runs", "failed_at = started_at - interval '1 second'", "failed_at_is_after_started_at"),
    ("step_states", "status = 'queued'", "status_is_valid"),
    ("step_states", "status = 'completed', remaining_tasks = 1", "status_and_remaining_tasks_match"),
    ("step_states", "status = 'created', remaining_tasks = 1", "remaining_tasks_state_consistency"),
    (
        "step_states",
        "status = 'skipped', skip_reason = 'x', remaining_tasks = 1",
        "remaining_tasks_state_consistency",
    ),
    ("step_states", "status = 'started', initial_tasks = null", "initial_tasks_known_when_started"),
    ("step_states", "initial_tasks = -1", "step_states_initial_tasks_check"),
    ("step_states", "remaining_deps = -1", "step_states_remaining_deps_check"),
    ("step_states", "output = '1'", "output_only_for_completed_or_null"),
    ("step_states", "skip_reason = 'x'", "skip_reason_matches_status"),
    (
        "step_states",
        "status = 'skipped', remaining_tasks = null, skip_reason = null",
        "skip_reason_matches_status",
    ),
    ("step_states", "completed_at = now(), failed_at = now()", "completed_at_or_failed_at_or_skipped_at"),
    ("step_states", "completed_at = now(), skipped_at = now()", "completed_at_or_failed_at_or_skipped_at"),
    ("step_states", "failed_at = now(), skipped_at = now()", "completed_at_or_failed_at_or_skipped_at"),
    ("step_states", "started_at = created_at - interval '1 second'", "started_at_is_after_created_at"),
    ("step_states", "completed_at = started_at - interval '1 second'", "completed_at_is_after_started_at"),
    ("step_states", "failed_at = started_at - interval '1 second'", "failed_at_is_after_started_at"),
    ("step_states", "skipped_at = created_at - interval '1 second'", "skipped_at_is_after_created_at"),
    ("step_tasks", "status = 'created'", "valid_status"),
    ("step_tasks", "output = '1'", "output_valid_only_for_completed"),
    ("step_tasks", "attempts_count = -1", "attempts_count_nonnegative"),
    ("step_tasks", "completed_at = now(), failed_at = now()", "completed_at_or_failed_at"),
    ("step_tasks", "started_at = queued_at - interval '1 second'", "started_at_is_after_queued_at"),
    (
        "step_tasks",
        "completed_at = queued_at - interval '1 second', started_at = null",
        "completed_at_is_after_queued_at",
    ),
    ("step_tasks", "failed_at = queued_at - interval '1 second', started_at = null", "failed_at_is_after_queued_at"),
    (
        "step_tasks",
        "completed_at = queued_at + interval '1 second', started_at = queued_at + interval '2 seconds'",
        "completed_at_is_after_started_at",
    ),
    (
        "step_tasks",
        "failed_at = queued_at + interval '1 second', started_at = queued_at + interval '2 seconds'",
        "failed_at_is_after_started_at",
    ),
    ("worker_functions", "debounce = interval '0.5 seconds'", "worker_functions_debounce_check"),
]

ALLOWED = [
    ("flows", "opt_max_attempts = 0, opt_base_delay = 0, opt_timeout = 1"),
    ("steps", "opt_max_attempts = 0, opt_base_delay = 0, opt_timeout = 1, opt_start_delay = 0"),
    ("steps", "required_input_pattern = '{}', forbidden_input_pattern = '{\"a\": 1}'"),
    ("runs", "completed_at = started_at"),
    ("step_states", "status = 'completed', remaining_tasks = 0, output = '1'"),
    ("step_states", "status = 'skipped', remaining_tasks = null, skip_reason = 'anything', skipped_at = now()"),
    ("step_states", "started_at = null, failed_at = now(), status = 'failed'"),
    ("step_tasks", "status = 'failed', output = '1'"),
    ("step_tasks", "message_id = null"),
    ("worker_functions", "debounce = interval '1 second'"),
]


@pytest.fixture
def rows(sql: Sql) -> Sql:
    """Leave the flow ``flow`` with a started run of one step and one task."""
    sql.define("flow", "step")
    sql.start("flow", {})
    sql.rows("insert into pgflow.worker_functions (function_name) values ('flow')")
    return sql


def where(table: str) -> str:
    """Select the row that the fixture made."""
    return "function_name = 'flow'" if table == "worker_functions" else "flow_slug = 'flow'"


@pytest.mark.parametrize(("table", "change", "constraint"), REFUSED)
def test_a_check_refuses(rows: Sql, table: str, change: str, constraint: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        rows.rows(f"update pgflow.{table} set {change} where {where(table)}")
    assert caught.value.diag.constraint_name == constraint


@pytest.mark.parametrize(("table", "change"), ALLOWED)
def test_a_check_allows(rows: Sql, table: str, change: str) -> None:
    assert rows.rows(f"update pgflow.{table} set {change} where {where(table)} returning 1")


def test_deleting_a_worker_leaves_its_tasks_without_one(sql: Sql) -> None:
    sql.define("flow", "step")
    sql.start("flow", {})
    task = sql.claim_one("flow")
    sql.rows("delete from pgflow.workers where worker_id = %(id)s", id=sql.worker_id)
    assert sql.task(task.run_id, "step").last_worker_id is None


@pytest.mark.parametrize("table", ["flows", "steps", "runs", "step_states"])
def test_a_parent_row_cannot_be_deleted_before_its_children(rows: Sql, table: str) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        rows.rows(f"delete from pgflow.{table} where flow_slug = 'flow'")
