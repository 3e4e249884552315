"""Installing into real databases, and removing again."""

from __future__ import annotations

import uuid

from tests.migrations.conftest import Scratch


def test_up_down_up_gives_the_same_and_leaves_nothing_behind(scratch: Scratch) -> None:
    scratch.manage("migrate", "-v0")
    first = scratch.objects()
    assert {"pgflow", "django_pgflow", "pgmq"} <= scratch.schemas()
    scratch.manage("migrate", "pgflow", "zero", "-v0")
    assert scratch.schemas() == {"public"}
    scratch.manage("migrate", "-v0")
    assert scratch.objects() == first


def test_down_removes_flows_with_runs_and_queues(scratch: Scratch) -> None:
    scratch.manage("migrate", "-v0")
    scratch.execute("select pgflow.create_flow('made_by_hand'), pgflow.add_step('made_by_hand', 'a')")
    scratch.execute("select pgflow.start_flow('made_by_hand', '{}')")
    scratch.manage("migrate", "pgflow", "zero", "-v0")
    assert scratch.schemas() == {"public"}


def test_down_leaves_queues_of_others(scratch: Scratch) -> None:
    scratch.manage("migrate", "-v0")
    scratch.execute("select pgmq.create('mail'), pgmq.send('mail', '{}'::jsonb)")
    scratch.manage("migrate", "pgflow", "zero", "-v0")
    assert scratch.schemas() == {"public", "pgmq"}
    assert scratch.execute("select count(*) from pgmq.q_mail") == [(1,)]
    assert scratch.execute("select queue_name from pgmq.list_queues()") == [("mail",)]
    scratch.manage("migrate", "-v0")  # and uses what is there


def test_an_installed_queue_is_used_and_left(scratch: Scratch) -> None:
    from pgmq.install import get_embedded_install_sql

    scratch.execute(get_embedded_install_sql())
    scratch.manage("migrate", "-v0")
    scratch.manage("migrate", "pgflow", "zero", "-v0")
    assert scratch.schemas() == {"public", "pgmq"}


def test_a_queue_that_is_too_old_stops_migrate(scratch: Scratch) -> None:
    scratch.execute("create schema pgmq; create type pgmq.message_record as (msg_id bigint, message jsonb)")
    answer = scratch.manage("migrate", "-v0", check=False)
    assert answer.returncode != 0
    assert "older than pgmq 1.5.0" in answer.stderr
    assert "pgflow" not in scratch.schemas()


def test_a_schema_that_is_no_core_stops_migrate_and_is_left_alone(scratch: Scratch) -> None:
    scratch.execute("create schema pgflow; create table pgflow.notes (note text)")
    scratch.execute("insert into pgflow.notes values ('theirs')")
    answer = scratch.manage("migrate", "-v0", check=False)
    assert answer.returncode != 0
    assert "already has a schema 'pgflow' that django-pgflow did not install" in answer.stderr
    assert "it has no table of a pgflow core" in answer.stderr
    assert "Nothing was changed" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert scratch.execute("select * from pgflow.notes") == [("theirs",)]
    assert {"pgmq", "django_pgflow"}.isdisjoint(scratch.schemas())


def test_a_core_that_is_too_old_stops_migrate(scratch: Scratch) -> None:
    scratch.execute("create schema pgflow; create table pgflow.flows (flow_slug text primary key)")
    answer = scratch.manage("migrate", "-v0", check=False)
    assert answer.returncode != 0
    assert "django-pgflow works with 0.7 and later" in answer.stderr
    assert {"pgmq", "django_pgflow"}.isdisjoint(scratch.schemas())


def test_a_foreign_schema_django_pgflow_stops_migrate(scratch: Scratch) -> None:
    scratch.execute("create schema django_pgflow")
    answer = scratch.manage("migrate", "-v0", check=False)
    assert "already has a schema 'django_pgflow' that django-pgflow did not install" in answer.stderr
    assert scratch.schemas() == {"public", "django_pgflow"}


def test_lost_records_of_migrations_are_named(scratch: Scratch) -> None:
    scratch.manage("migrate", "-v0")
    before = scratch.objects()
    scratch.execute("delete from django_migrations where app = 'pgflow'")
    answer = scratch.manage("migrate", "-v0", check=False)
    assert "`manage.py migrate --fake pgflow`" in answer.stderr
    scratch.manage("migrate", "--fake", "pgflow", "-v0")
    assert scratch.objects() == before


def test_no_migration_is_missing(scratch: Scratch) -> None:
    answer = scratch.manage("makemigrations", "--check", "--dry-run", check=False)
    assert answer.returncode == 0, answer.stdout


def test_sqlmigrate_prints_the_installation(scratch: Scratch) -> None:
    script = scratch.manage("sqlmigrate", "pgflow", "0001").stdout
    assert "create function pgflow.start_flow(" in script
    assert "\\ir" not in script


def test_migrate_works_under_a_role_that_owns_only_the_database(scratch: Scratch) -> None:
    role = f"owner_{uuid.uuid4().hex[:8]}"
    name = scratch.conninfo["dbname"]
    scratch.execute(f"create role {role} login")
    scratch.execute(f"alter database {name} owner to {role}")
    scratch.execute(f"alter schema public owner to {role}")
    try:
        mine = Scratch(scratch.url, {**scratch.conninfo, "options": f"-c role={role}"})
        mine.url += ("&" if "?" in mine.url else "?") + f"options=-c%20role%3D{role}"
        mine.manage("migrate", "-v0")
        mine.execute("select pgflow.create_flow('f'), pgflow.add_step('f', 'a')")
        assert mine.execute("select status from pgflow.start_flow('f', '{}')") == [("started",)]
        mine.manage("migrate", "pgflow", "zero", "-v0")
        assert scratch.schemas() == {"public"}
    finally:
        scratch.execute("alter schema public owner to current_user")
        scratch.execute(f"alter database {name} owner to current_user")
        scratch.execute(f"drop owned by {role} cascade")
        scratch.execute(f"drop role {role}")
