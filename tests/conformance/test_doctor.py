"""What ``pgflow_doctor`` says of databases: with cores of others, with ours, with none."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from django_pgflow import doctor
from tests.conformance.conftest import Foreign
from tests.migrations.conftest import Scratch


def examine(database: Scratch, *arguments: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return the exit code, the facts, and the findings' texts by code."""
    answer = database.manage("pgflow_doctor", "--json", *arguments, check=False)
    assert "Traceback" not in answer.stderr, answer.stderr
    said = json.loads(answer.stdout)
    return answer.returncode, said["facts"], {finding["code"]: finding["text"] for finding in said["findings"]}


def broken(database: Scratch) -> dict[str, str]:
    """Return what is broken; check that the exit code says so."""
    answer = database.manage("pgflow_doctor", "--json", check=False)
    found = {one["code"]: one["text"] for one in json.loads(answer.stdout)["findings"] if one["level"] == "broken"}
    assert answer.returncode == bool(found)
    return found


def test_versions_abilities_and_dangers_are_named(adopted: Foreign) -> None:
    adopted.define("theirs", "a")
    adopted.execute("select pgmq.create('mail')")
    code, facts, found = examine(adopted)
    assert code == 0
    version = {"0.7.2": "pgflow 0.7.0 or later, before 0.8.0", "0.14.1": "pgflow 0.14.0 or later"}[adopted.version]
    assert facts["core"] == f"not ours: {version}"
    assert facts["pgmq"] == "1.5.2 or later (no extension, SQL only)"
    assert facts["schema django_pgflow"] == "installed"
    assert facts["live workers"] == "none"
    assert {"no_fence", "double_claim", "control"} <= set(found)
    assert found["flows"] == "Flows that are not in the code: theirs."
    assert found["queues"] == "Queues of no flow: mail."
    old = {"conditions", "deleting", "worker_end", "never_recovered"}
    new = {"recompiling_deletes", "stalled_for_good", "conditions_ignored"}
    assert (old if adopted.version == "0.7.2" else new) <= set(found)
    assert not (new if adopted.version == "0.7.2" else old) & set(found)


def test_people_get_sentences(adopted: Foreign) -> None:
    answer = adopted.manage("pgflow_doctor")
    for heading in ("Not possible here", "Dangerous here", "Left alone"):
        assert f"\n{heading}\n- " in answer.stdout
    assert "Nothing is broken." in answer.stdout


def test_the_doctor_changes_nothing(adopted: Foreign) -> None:
    adopted.start("con_chain", {})
    schemas = ("pgflow", "pgmq", "django_pgflow", "public")
    before = adopted.objects(schemas), adopted.contents(schemas)
    adopted.manage("pgflow_doctor")
    assert (adopted.objects(schemas), adopted.contents(schemas)) == before


def test_tasks_and_runs_that_are_stuck_are_listed(adopted: Foreign) -> None:
    core, worker_id = adopted.core, adopted.register()
    runs = [adopted.start("con_chain", {}) for _ in range(4)]
    msg_ids = [msg_id for msg_id, _ in adopted.ask(core.read_messages("con_chain", 2))]
    adopted.ask(core.start_tasks("con_chain", msg_ids, worker_id))
    adopted.execute(
        "update pgflow.step_tasks set queued_at = queued_at - interval '1 hour', "
        "started_at = started_at - interval '1 hour'"
    )
    adopted.execute("delete from pgmq.q_con_chain where msg_id <> all(%s)", [msg_ids])
    adopted.execute("delete from pgflow.step_tasks where run_id = %s", [runs[3]])
    found = broken(adopted)
    assert set(found) == {"overdue", "no_message", "runs_without_tasks"}
    assert f"{runs[0]} root[0]" in found["overdue"]
    assert ("this core never gives them back" in found["overdue"]) == (adopted.version == "0.7.2")
    assert f"{runs[2]} root[0]" in found["no_message"]
    assert str(runs[3]) in found["runs_without_tasks"]
    if adopted.version == "0.14.1":
        adopted.execute("update pgflow.step_tasks set permanently_stalled_at = now() where run_id = %s", [runs[0]])
        assert f"{runs[0]} root[0]" in broken(adopted)["stalled_for_good"]


def test_options_that_this_core_cannot_bear_are_named(adopted: Foreign) -> None:
    adopted.define("slow", "a", max_attempts=40, base_delay=5)
    adopted.execute("update pgflow.steps set opt_timeout = 3600 where flow_slug = 'slow'")
    adopted.execute(
        f"alter database {adopted.conninfo['dbname']} set app.settings.jwt_secret = "
        "'super-secret-jwt-token-with-at-least-32-characters-long'"
    )
    _, _, found = examine(adopted)
    assert "slow.a" in found["delay_overflow"]
    assert "is_local" in found
    assert ("slow.a (3600 s)" in found.get("step_timeouts", "")) == (adopted.version == "0.14.1")


def test_what_is_missing_around_the_core_is_broken(adopted: Foreign) -> None:
    adopted.execute("select pgmq.drop_queue('con_maps')")
    adopted.execute("drop schema django_pgflow cascade")
    adopted.execute(
        "create function pgflow.emit() returns void language plpgsql as $$ begin "
        "perform realtime.send('{}'::jsonb, '', '', false); end $$"
    )
    assert set(broken(adopted)) == {"no_queue", "not_migrated", "no_realtime"}


def test_missing_grants_are_listed(adopted: Foreign) -> None:
    role = f"worker_{uuid.uuid4().hex[:8]}"
    adopted.execute(f"create role {role} login")
    try:
        adopted.execute(
            f"grant usage on schema pgflow, pgmq, django_pgflow to {role}; "
            f"grant select, insert, update on all tables in schema pgflow to {role}; "
            f"grant all on all tables in schema pgmq to {role}; "
            f"revoke update on pgflow.step_tasks from {role}"
        )
        theirs = Scratch(adopted.url, adopted.conninfo, adopted.settings)
        theirs.url += ("&" if "?" in theirs.url else "?") + f"options=-c%20role%3D{role}"
        found = broken(theirs)
        assert set(found) == {"grants"}
        assert f"The role '{role}' lacks privileges" in found["grants"]
        assert "update on table pgflow.step_tasks" in found["grants"]
        adopted.execute(f"revoke usage on schema pgflow from {role}")
        assert "usage on schema pgflow" in broken(theirs)["grants"]
    finally:
        adopted.execute(f"drop owned by {role}; drop role {role}")


def test_a_database_without_pgflow_is_broken(scratch: Scratch) -> None:
    assert set(broken(scratch)) == {"not_installed"}
    scratch.execute("create schema pgflow")
    assert set(broken(scratch)) == {"no_core"}
    scratch.execute("create table pgflow.flows (flow_slug text)")
    assert set(broken(scratch)) == {"too_old"}


@pytest.mark.django_db(transaction=True)
def test_our_own_core_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("pgflow_doctor")
    said = capsys.readouterr().out
    assert "installed by django-pgflow" in said
    assert "LISTEN                possible" in said
    assert "Nothing is broken." in said
    assert "Not possible here" not in said


@pytest.mark.django_db(transaction=True)
def test_polling_by_choice_is_not_broken(settings: Any) -> None:
    settings.PGFLOW = {"WORKER": {"listen": False}}
    diagnosis = doctor.examine("default")
    assert diagnosis.facts["LISTEN"].startswith("not used")
    assert diagnosis.findings == []


def test_another_database_than_postgres_is_broken(tmp_path: Path) -> None:
    assert set(broken(Scratch(f"sqlite:///{tmp_path}/db.sqlite3", {}))) == {"no_postgres"}
