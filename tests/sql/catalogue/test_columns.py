"""The columns of each table: type, nullability and default."""

from __future__ import annotations

import pytest

from tests.fixtures.sql import Sql

# A line a column: name, type, "null" where that is allowed; the default after "=".
COLUMNS = {
    "flows": """
        flow_slug text
        opt_max_attempts integer = 3
        opt_base_delay integer = 1
        opt_timeout integer = 60
        created_at timestamptz = now()
    """,
    "steps": """
        flow_slug text
        step_slug text
        step_type text = 'single'::text
        step_index integer = 0
        deps_count integer = 0
        opt_max_attempts integer null
        opt_base_delay integer null
        opt_timeout integer null
        opt_start_delay integer null
        required_input_pattern jsonb null
        forbidden_input_pattern jsonb null
        when_unmet text = 'skip'::text
        when_exhausted text = 'fail'::text
        created_at timestamptz = now()
    """,
    "deps": """
        flow_slug text
        dep_slug text
        step_slug text
        created_at timestamptz = now()
    """,
    "runs": """
        run_id uuid = gen_random_uuid()
        flow_slug text
        status text = 'started'::text
        input jsonb
        output jsonb null
        remaining_steps integer = 0
        started_at timestamptz = now()
        completed_at timestamptz null
        failed_at timestamptz null
    """,
    "step_states": """
        flow_slug text
        run_id uuid
        step_slug text
        status text = 'created'::text
        remaining_tasks integer null
        initial_tasks integer null
        remaining_deps integer = 0
        output jsonb null
        error_message text null
        skip_reason text null
        created_at timestamptz = now()
        started_at timestamptz null
        completed_at timestamptz null
        failed_at timestamptz null
        skipped_at timestamptz null
    """,
    "step_tasks": """
        flow_slug text
        run_id uuid
        step_slug text
        message_id bigint null
        task_index integer = 0
        status text = 'queued'::text
        attempts_count integer = 0
        error_message text null
        output jsonb null
        queued_at timestamptz = now()
        started_at timestamptz null
        completed_at timestamptz null
        failed_at timestamptz null
        last_worker_id uuid null
        requeued_count integer = 0
        last_requeued_at timestamptz null
        permanently_stalled_at timestamptz null
    """,
    "workers": """
        worker_id uuid
        queue_name text
        function_name text
        started_at timestamptz = now()
        deprecated_at timestamptz null
        stopped_at timestamptz null
        last_heartbeat_at timestamptz = now()
    """,
    "worker_functions": """
        function_name text
        enabled boolean = true
        debounce interval = '00:00:06'::interval
        last_invoked_at timestamptz null
        created_at timestamptz = now()
        updated_at timestamptz = now()
    """,
}


def test_the_schema_has_the_eight_tables(sql: Sql) -> None:
    rows = sql.rows("select tablename from pg_tables where schemaname = 'pgflow'")
    assert {row.tablename for row in rows} == set(COLUMNS)


@pytest.mark.parametrize("table", COLUMNS)
def test_columns_are_those_of_the_contract(sql: Sql, table: str) -> None:
    rows = sql.rows(
        """
        select column_name, data_type, is_nullable, column_default
        from information_schema.columns
        where table_schema = 'pgflow' and table_name = %(table)s
        order by ordinal_position
        """,
        table=table,
    )
    found = []
    for row in rows:
        line = f"{row.column_name} {row.data_type.replace('timestamp with time zone', 'timestamptz')}"
        line += " null" if row.is_nullable == "YES" else ""
        line += f" = {row.column_default}" if row.column_default is not None else ""
        found.append(line)
    expected = [line.strip() for line in COLUMNS[table].strip().splitlines()]
    # More columns may follow those of the contract, if an insert need not name them.
    assert found[: len(expected)] == expected
    assert all(" null" in line or " = " in line for line in found[len(expected) :])


def test_the_task_record_has_its_attributes_in_order(sql: Sql) -> None:
    rows = sql.rows(
        """
        select attribute_name, data_type
        from information_schema.attributes
        where udt_schema = 'pgflow' and udt_name = 'step_task_record'
        order by ordinal_position
        """
    )
    assert [(row.attribute_name, row.data_type) for row in rows] == [
        ("flow_slug", "text"),
        ("run_id", "uuid"),
        ("step_slug", "text"),
        ("input", "jsonb"),
        ("msg_id", "bigint"),
        ("task_index", "integer"),
        ("flow_input", "jsonb"),
    ]
