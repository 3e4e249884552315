"""``migrate`` on a database whose core others installed, and back."""

from __future__ import annotations

from tests.conformance.conftest import NO_SYNC, Foreign

THEIRS = ("pgflow", "pgmq")


def test_migrate_creates_our_schema_alone_and_says_so(foreign: Foreign) -> None:
    foreign.define("theirs", "a")
    foreign.start("theirs")
    objects, contents = foreign.objects(THEIRS), foreign.contents(THEIRS)
    answer = foreign.manage("migrate", TEST_PGFLOW=NO_SYNC)
    assert foreign.schemas() == {"public", "pgflow", "pgmq", "django_pgflow"}
    assert "has a core that django-pgflow did not install: pgflow 0." in answer.stdout
    assert "only the schema 'django_pgflow' is created beside it" in answer.stdout
    assert foreign.objects(THEIRS) == objects
    assert foreign.contents(THEIRS) == contents
    foreign.manage("migrate", "pgflow", "zero", TEST_PGFLOW=NO_SYNC)
    assert foreign.schemas() == {"public", "pgflow", "pgmq"}
    assert foreign.objects(THEIRS) == objects
    assert foreign.contents(THEIRS) == contents


def test_migrate_zero_leaves_flows_and_their_runs(adopted: Foreign) -> None:
    run_id = adopted.start("con_chain", {"a": 1})
    objects, contents = adopted.objects(THEIRS), adopted.contents(THEIRS)
    assert any("con_chain" in row for row in contents["pgflow.flows"])
    adopted.manage("migrate", "pgflow", "zero", "-v0")
    assert adopted.schemas() == {"public", "pgflow", "pgmq"}
    assert adopted.objects(THEIRS) == objects
    assert adopted.contents(THEIRS) == contents
    adopted.manage("migrate", "-v0")
    adopted.work("con_chain")
    assert adopted.run(run_id)["status"] == "completed"


def test_nothing_executable_is_public_and_nothing_of_theirs_depends_on_ours(adopted: Foreign) -> None:
    assert adopted.execute(
        "select count(*) from pg_proc where pronamespace = 'django_pgflow'::regnamespace and (proacl is null or "
        "exists (select from aclexplode(proacl) where grantee = 0))"
    ) == [(0,)]
    adopted.execute("drop schema django_pgflow cascade")
    assert adopted.execute("select status from pgflow.start_flow('con_chain', '{}')") == [("started",)]


def test_views_and_tables_are_those_of_our_own_core(adopted: Foreign, own_columns: list[tuple[str, ...]]) -> None:
    columns = adopted.execute(COLUMNS)
    assert {row for row in own_columns if row[0] in {name for name, *_ in columns}} == set(columns)
    adopted.start("con_chain", {"a": 1})
    assert len(adopted.execute("select * from django_pgflow.step_state_rows")) == 3
    assert len(adopted.execute("select key, input, forgiven_count from django_pgflow.step_task_rows")) == 1


def test_flush_leaves_the_core_alone(adopted: Foreign) -> None:
    run_id = adopted.start("con_chain", {"a": 1})
    adopted.manage("flush", "--no-input", "-v0")
    assert adopted.run(run_id)["status"] == "started"


def test_a_core_without_pgmq_gets_none(foreign: Foreign) -> None:
    foreign.execute("drop schema pgmq cascade")
    foreign.manage("migrate", "-v0", TEST_PGFLOW=NO_SYNC)
    assert foreign.schemas() == {"public", "pgflow", "django_pgflow"}


COLUMNS = """
    select c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
    where c.relnamespace = 'django_pgflow'::regnamespace and c.relkind in ('r', 'v')
"""
