"""``delete_flow_and_data``: a flow goes with all that belongs to it."""

from __future__ import annotations

import psycopg
import pytest

from tests.fixtures.sql import Sql

TABLES = ("flows", "steps", "deps", "runs", "step_states", "step_tasks")
PROGRESS = (
    "insert into django_pgflow.task_progress (run_id, step_slug, task_index, attempt, done) "
    "values (%(id)s, 'a', 0, 1, 5)"
)


def rows_of(sql: Sql, flow_slug: str) -> dict[str, int]:
    """Count the rows of a flow in each table."""
    return {
        table: sql.value(f"select count(*) from pgflow.{table} where flow_slug = %(slug)s", slug=flow_slug)
        for table in TABLES
    }


def test_all_rows_of_the_flow_go(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    sql.start("flow", {})
    sql.work("flow")
    sql.start("flow", {})
    sql.claim("flow")
    assert min(rows_of(sql, "flow").values()) > 0
    sql.call("pgflow.delete_flow_and_data", p_flow_slug="flow")
    assert set(rows_of(sql, "flow").values()) == {0}


def test_what_we_keep_beside_its_runs_goes_too(sql: Sql) -> None:
    sql.define("flow", "a")
    run = sql.start("flow", {})
    sql.fail(sql.claim_one("flow"))
    sql.rows("insert into django_pgflow.run_details (run_id, meta) values (%(id)s, '{}')", id=run.run_id)
    sql.rows(PROGRESS, id=run.run_id)
    sql.call("pgflow.delete_flow_and_data", p_flow_slug="flow")
    for table in ("failed_attempts", "task_progress", "run_details"):
        assert sql.value(f"select count(*) from django_pgflow.{table}") == 0


def test_its_queue_and_archive_go(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.call("pgflow.delete_flow_and_data", p_flow_slug="flow")
    assert sql.value("select count(*) from pgmq.list_queues() where queue_name = 'flow'") == 0
    with pytest.raises(psycopg.errors.UndefinedTable):
        sql.archived_messages("flow")


def test_other_flows_stay(sql: Sql) -> None:
    for slug in ("flow", "other"):
        sql.define(slug, "a", "b < a")
        sql.start(slug, {})
    before = rows_of(sql, "other")
    sql.call("pgflow.delete_flow_and_data", p_flow_slug="flow")
    assert rows_of(sql, "other") == before
    assert len(sql.claim("other")) == 1


def test_a_missing_queue_is_no_hindrance(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.rows("select pgmq.drop_queue('flow')")
    sql.call("pgflow.delete_flow_and_data", p_flow_slug="flow")
    assert set(rows_of(sql, "flow").values()) == {0}


def test_an_unknown_flow_is_passed_over(sql: Sql) -> None:
    sql.call("pgflow.delete_flow_and_data", p_flow_slug="nowhere")


def test_the_flow_can_be_created_again(sql: Sql) -> None:
    sql.define("flow", "a", "b < a")
    sql.call("pgflow.delete_flow_and_data", p_flow_slug="flow")
    sql.define("flow", "x")
    run = sql.start("flow", {})
    sql.work("flow", x=1)
    assert sql.run(run.run_id).output == {"x": 1}
