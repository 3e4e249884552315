"""Flows of the code reach the database, are kept up to date, and nothing is lost by it."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction

from django_pgflow import Flow, FlowNotFound, ShapeMismatch, client, compiler, registry
from django_pgflow.compiler import statements
from tests.integration.compiler.conftest import Build, execute, rows
from tests.testapp import flows

FLOW = "select opt_max_attempts, opt_base_delay, opt_timeout from pgflow.flows where flow_slug = %s"
STEPS = "select step_slug, step_type, deps_count from pgflow.steps where flow_slug = %s order by step_index"
DEPS = "select dep_slug, step_slug from pgflow.deps where flow_slug = %s order by step_slug, dep_slug"
RUNS = "select count(*) from pgflow.runs where flow_slug = %s"


def sync(*given: Flow, recreate: tuple[str, ...] = ()) -> compiler.Report:
    return compiler.sync({flow.slug: flow for flow in given}, using="default", verbosity=0, recreate=recreate)


@pytest.mark.django_db
class TestCreate:
    def test_migrate_has_written_the_flows_of_the_apps(self) -> None:
        assert rows(STEPS, "diamond") == [
            ("top", "single", 0),
            ("left", "single", 1),
            ("right", "single", 1),
            ("bottom", "single", 2),
        ]
        assert rows(DEPS, "fan_out") == [("numbers", "square"), ("square", "total")]
        assert rows(STEPS, "root_map") == [("double", "map", 0)]
        assert compiler.differences(registry.all_flows(), using="default") == {}

    def test_a_new_flow_gets_its_queue_and_the_projects_defaults(self, build: Build, settings: Any) -> None:
        settings.PGFLOW = {"DEFAULTS": {"max_attempts": 7, "base_delay": 8, "timeout": 9}}
        assert sync(build(a=[])).created == ["shop"]
        assert rows(FLOW, "shop") == [(7, 8, 9)]
        assert rows("select queue_name from pgmq.list_queues() where queue_name = 'shop'") == [("shop",)]

    def test_options_of_flow_and_steps_are_written(self) -> None:
        flow = Flow("shop", max_attempts=1, base_delay=0, timeout=timedelta(minutes=1))

        @flow.step(max_attempts=2, base_delay=3, timeout=4, start_delay=timedelta(hours=1))
        def a() -> None: ...

        @flow.step
        def b() -> None: ...

        sync(flow)
        assert rows(FLOW, "shop") == [(1, 0, 60)]
        assert rows(
            "select opt_max_attempts, opt_base_delay, opt_timeout, opt_start_delay from pgflow.steps "
            "where flow_slug = 'shop' order by step_index"
        ) == [(2, 3, 4, 3600), (None, None, None, None)]

    def test_a_second_sync_changes_nothing(self, build: Build) -> None:
        flow = build(a=[], b=["a"])
        sync(flow)
        before = rows("select xmin, ctid from pgflow.steps where flow_slug = 'shop' order by step_index")
        report = sync(flow)
        assert (report.unchanged, report.created, report.updated) == (["shop"], [], {})
        assert rows("select xmin, ctid from pgflow.steps where flow_slug = 'shop' order by step_index") == before


@pytest.mark.django_db
class TestUpdate:
    def test_changed_options_are_updated_and_runs_stay(self, build: Build) -> None:
        sync(build(a=[]))
        client.start("shop", ["{}"])
        flow = build(options={"timeout": 99})
        flow.step(flows.hello.func, slug="a", start_delay=5)
        report = sync(flow)
        assert report.updated == {
            "shop": (
                "timeout of the flow: 99 in the code, 60 in the database",
                "start_delay of step 'a': 5 in the code, unset in the database",
            )
        }
        assert rows(FLOW, "shop") == [(3, 5, 99)]
        assert rows("select opt_start_delay from pgflow.steps where flow_slug = 'shop'") == [(5,)]
        assert rows(RUNS, "shop") == [(1,)]

    def test_an_option_taken_back_is_inherited_again(self, build: Build) -> None:
        flow = build()
        flow.step(flows.hello.func, slug="a", timeout=5)
        sync(flow)
        sync(build(a=[]))
        assert rows("select opt_timeout from pgflow.steps where flow_slug = 'shop'") == [(None,)]

    def test_another_order_of_the_same_steps_is_updated_and_runs_stay(self, build: Build) -> None:
        sync(build(a=[], b=[], c=["a", "b"]))
        client.start("shop", ["{}"])
        report = sync(build(b=[], a=[], c=["b", "a"]))
        assert report.updated == {"shop": ("order of the steps: b, a, c in the code, a, b, c in the database",)}
        assert [row[0] for row in rows(STEPS, "shop")] == ["b", "a", "c"]
        assert rows(RUNS, "shop") == [(1,)]


@pytest.mark.django_db
class TestShape:
    def test_other_steps_without_runs_are_written_anew(self, build: Build) -> None:
        sync(build(a=[], b=["a"]))
        report = sync(build(a=[], c=["a"]))
        assert report.recreated == {
            "shop": ("step 'c' is only in the code", "step 'b' is only in the database"),
        }
        assert rows(DEPS, "shop") == [("a", "c")]
        assert rows("select count(*) from pgmq.list_queues() where queue_name = 'shop'") == [(1,)]
        (run,) = client.start("shop", ["{}"])
        assert run.status == "started"

    def test_other_steps_with_runs_are_refused_and_other_flows_are_not(self, build: Build) -> None:
        sync(build(a=[], b=["a"]))
        client.start("shop", ["{}"])
        report = sync(build(options={"timeout": 99}, a=[], b=[]), build("other", a=[]))
        error = report.refused["shop"]
        assert isinstance(error, ShapeMismatch)
        assert "step 'b' depends on nothing in the code, on a in the database" in str(error)
        assert "(1)" in str(error)
        assert "shop_v2" in str(error)
        assert "manage.py pgflow_sync --recreate shop" in str(error)
        assert report.created == ["other"]
        assert rows(DEPS, "shop") == [("a", "b")]
        assert rows(FLOW, "shop") == [(3, 5, 60)]

    def test_another_type_is_another_shape(self, build: Build) -> None:
        sync(build(a=[]))
        client.start("shop", ["{}"])
        flow = build()
        flow.map(flows.double.func, slug="a")
        error = sync(flow).refused["shop"]
        assert "step 'a' is a map step in the code, a single step in the database" in str(error)

    def test_a_condition_in_the_database_is_another_shape(self, build: Build) -> None:
        flow = build(a=[])
        sync(flow)
        execute("update pgflow.steps set when_exhausted = 'skip' where flow_slug = 'shop'")
        assert compiler.differences({"shop": flow}, using="default") == {
            "shop": ["when_exhausted of step 'a': fail in the code, skip in the database"]
        }

    def test_recreate_deletes_the_runs_of_that_flow_only(self, build: Build) -> None:
        sync(build(a=[]), build("other", a=[]))
        client.start("shop", ["{}", "{}"])
        client.start("other", ["{}"])
        report = sync(build(b=[]), build("other", b=[]), recreate=("shop",))
        assert list(report.recreated) == ["shop"]
        assert list(report.refused) == ["other"]
        assert rows(RUNS, "shop") == [(0,)]
        assert rows(RUNS, "other") == [(1,)]
        assert [row[0] for row in rows(STEPS, "shop")] == ["b"]
        client.start("shop", ["{}"])

    def test_recreate_leaves_a_flow_alone_that_agrees(self, build: Build) -> None:
        flow = build(a=[])
        sync(flow)
        client.start("shop", ["{}"])
        assert sync(flow, recreate=("shop",)).unchanged == ["shop"]
        assert rows(RUNS, "shop") == [(1,)]

    def test_recreate_of_an_unknown_flow_is_an_error(self, build: Build) -> None:
        with pytest.raises(FlowNotFound):
            sync(build(a=[]), recreate=("shpo",))


@pytest.mark.django_db
class TestDifferences:
    def test_options_can_be_left_out_of_the_comparison(self, build: Build) -> None:
        sync(build(a=[]), build("other", a=[]))
        given = {"shop": build(options={"timeout": 9}, a=[]), "other": build("other", b=[]), "new": build("new")}
        assert list(compiler.differences(given, using="default")) == ["shop", "other", "new"]
        assert list(compiler.differences(given, using="default", options=False)) == ["other", "new"]


@pytest.mark.django_db
class TestTheRest:
    def test_flows_that_are_not_in_the_code_are_reported_and_left_alone(self, build: Build) -> None:
        sync(build("ours", a=[]), build("gone", a=[]))
        registry.unregister("gone")
        report = sync(registry.get("ours"))  # type: ignore[arg-type]
        assert report.orphans == ["gone"]
        assert rows(STEPS, "gone") == [("a", "single", 0)]

    def test_a_flow_that_the_database_refuses_does_not_hinder_the_others(self, build: Build) -> None:
        execute(
            "create function pg_temp.refuse() returns trigger language plpgsql as "
            "$$ begin raise 'Not on a Friday'; end $$"
        )
        execute(
            "create trigger refuse before insert on pgflow.steps for each row when (new.step_slug = 'bad') "
            "execute function pg_temp.refuse()"
        )
        report = sync(build("bad_one", a=[], bad=["a"]), build(a=[]))
        assert "The flow 'bad_one' was not written to the database 'default', which said: Not on a Friday" in str(
            report.refused["bad_one"]
        )
        assert report.created == ["shop"]
        assert rows(FLOW, "bad_one") == []

    def test_a_queue_that_differs_in_case_is_not_shared(self, build: Build) -> None:
        execute("select pgmq.create('Shop')")
        flow = build(a=[])
        error = sync(flow).refused["shop"]
        assert str(error).startswith(f"{flow.location}: The flow 'shop' would share the table of the queue 'Shop'")

    def test_without_the_core_nothing_is_done(self, build: Build) -> None:
        execute("drop schema pgflow cascade")
        assert not sync(build(a=[])).installed

    def test_one_process_at_a_time(self, build: Build) -> None:
        flow = build(a=[])
        with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
            other.execute("select pg_advisory_xact_lock(%s)", [statements.LOCK])
            execute("set local lock_timeout = '100ms'")
            with pytest.raises(OperationalError, match="lock timeout"), transaction.atomic():
                sync(flow)
        sync(flow)


@pytest.mark.django_db(transaction=True)
def test_two_that_sync_a_new_flow_at_once_create_it_once(build: Build) -> None:
    flow = build(a=[], b=["a"])
    reports: list[compiler.Report] = []

    def work() -> None:
        try:
            reports.append(sync(flow))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(len(report.created) for report in reports) == [0, 0, 0, 1]
    assert [row[0] for row in rows(STEPS, "shop")] == ["a", "b"]


@pytest.mark.django_db(transaction=True)
def test_a_run_started_meanwhile_is_not_lost_to_a_recreation(build: Build) -> None:
    """A start that has not committed yet holds the recreation off, which then finds the run and refuses."""
    sync(build(a=[]))
    changed = build(b=[])
    reports: list[compiler.Report] = []

    def work() -> None:
        try:
            reports.append(sync(changed))
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    with transaction.atomic():
        client.start("shop", ["{}"])
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(30)
    assert list(reports[0].refused) == ["shop"]
    assert rows(RUNS, "shop") == [(1,)]


@pytest.mark.django_db
class TestTelling:
    def test_migrate_prints_what_was_done_and_warns_of_a_refusal(
        self, build: Build, capsys: pytest.CaptureFixture[str]
    ) -> None:
        sync(build(a=[]))
        client.start("shop", ["{}"])
        build(b=[])
        build("brand_new", a=[])
        call_command("migrate", verbosity=1)
        out, err = capsys.readouterr()
        assert "Flow 'brand_new' was created." in out
        assert "WARNING: The flow 'shop' has other steps in the code than in the database" in err

    def test_silence_goes_to_the_log(
        self, build: Build, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with caplog.at_level(logging.INFO, logger="django_pgflow"):
            sync(build(a=[]))
            client.start("shop", ["{}"])
            sync(build(b=[]))
        assert [(record.levelname, record.getMessage()[:24]) for record in caplog.records] == [
            ("INFO", "Flow 'shop' was created."),
            ("WARNING", "The flow 'shop' has othe"),
        ]
        assert capsys.readouterr() == ("", "")
