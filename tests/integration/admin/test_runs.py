"""The list of runs and the page of one."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.urls import reverse

from django_pgflow import models
from django_pgflow.admin import base
from django_pgflow.admin import runs as admin_runs
from tests.fixtures import driving
from tests.integration.admin.conftest import fail_at

LIST = "/admin/pgflow/run/"


def page(run) -> str:
    return f"{LIST}{run.run_id}/change/"


def shown(response) -> list[UUID]:
    return [run.run_id for run in response.context["cl"].result_list]


def test_the_list_shows_status_progress_and_error_newest_first(admin_client, runs):
    response = admin_client.get(LIST)
    assert shown(response) == [runs.started.run_id, runs.failed.run_id, runs.completed.run_id]
    html = response.content.decode()
    for status in ("started", "failed", "completed"):
        assert f'<span class="pgflow-status pgflow-{status}">{status}</span>' in html
    assert "</progress> 3/3</span>" in html
    assert "</progress> 2/3</span>" in html
    assert "</progress> 0/3</span>" in html
    assert "total has no stock" in html
    assert str(runs.failed.run_id)[:8] in html


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=failed", ["failed"]),
        ("status=completed", ["completed"]),
        ("status=started", ["started"]),
        ("flow=orders", ["started", "failed", "completed"]),
        ("flow=other", []),
        ("flow=orders&status=failed", ["failed"]),
        ("status=nonsense", ["started", "failed", "completed"]),
    ],
)
def test_the_list_is_filtered_by_flow_and_status(admin_client, runs, query, names):
    assert shown(admin_client.get(f"{LIST}?{query}")) == [getattr(runs, name).run_id for name in names]


def test_the_list_is_filtered_by_date(admin_client, runs):
    with connection.cursor() as cursor:
        cursor.execute("update pgflow.runs set started_at = now() - interval '3 days' where status = 'failed'")
    day = (runs.started.started_at + timedelta(days=1)).isoformat()
    since = (runs.started.started_at - timedelta(days=1)).isoformat()
    response = admin_client.get(LIST, {"started_at__gte": since, "started_at__lt": day})
    assert shown(response) == [runs.started.run_id, runs.completed.run_id]
    assert "started_at__gte" in admin_client.get(LIST).content.decode()


def test_search_finds_by_id_and_by_its_beginning(admin_client, runs):
    run_id = str(runs.failed.run_id)
    for term in (run_id, run_id.replace("-", ""), run_id[:12], run_id[:4].upper(), f"  {run_id} "):
        assert runs.failed.run_id in shown(admin_client.get(LIST, {"q": term})), term
    assert shown(admin_client.get(LIST, {"q": run_id})) == [runs.failed.run_id]


@pytest.mark.parametrize("term", ["not-an-id", "%", "'; drop table x", "f" * 40, "\u0660", "-"])
def test_search_for_what_is_no_id_finds_nothing(admin_client, runs, term):
    response = admin_client.get(LIST, {"q": term})
    assert response.status_code == 200
    assert shown(response) == []


def test_search_for_the_beginning_of_an_id_is_an_index_lookup(admin_client, runs):
    with connection.cursor() as cursor:
        # Among a handful of rows any plan is as good.
        cursor.execute(
            "insert into pgflow.runs (flow_slug, input) select %s, '{}' from generate_series(1, 5000)",
            ["orders"],
        )
        cursor.execute("analyze pgflow.runs")
    low, high = admin_runs.filters.id_range(str(runs.failed.run_id)[:6])
    plan = models.Run.objects.filter(run_id__range=(low, high)).order_by().explain()
    assert "Index Cond" in plan or "Bitmap" in plan
    assert "runs_pkey" in plan


def test_the_list_takes_few_queries_however_many_runs(admin_client, runs, django_assert_max_num_queries):
    driving.start("orders", {}, count=60)
    with django_assert_max_num_queries(9):
        response = admin_client.get(LIST)
    assert len(shown(response)) == 50


def test_the_list_does_not_count_further_than_needed(admin_client, runs, monkeypatch):
    monkeypatch.setattr(base, "MAX_COUNT", 60)
    driving.start("orders", {}, count=70)
    html = admin_client.get(LIST).content.decode()
    assert "60+ runs" in html.replace("\n", " ")
    assert admin_client.get(f"{LIST}?p=2").status_code == 200
    monkeypatch.setattr(base, "MAX_COUNT", 100)
    assert "73 runs" in admin_client.get(LIST).content.decode().replace("\n", " ")


def test_inputs_and_outputs_are_not_read_by_the_list(admin_client, runs, django_assert_max_num_queries):
    with django_assert_max_num_queries(20) as captured:
        admin_client.get(LIST)
    statements = [query["sql"] for query in captured.captured_queries if '"pgflow"."runs"' in query["sql"]]
    assert statements
    assert not any('"runs"."input"' in sql or '"runs"."output"' in sql for sql in statements)


def test_the_page_shows_steps_tasks_input_and_output(admin_client, runs):
    html = admin_client.get(page(runs.completed)).content.decode()
    for text in ("load", "lines", "total", "lines [2]", "3/3", "shop:7", "&quot;order&quot;: 1", "Show all tasks"):
        assert text in html, text
    assert html.count('class="pgflow-status pgflow-completed"') == 1 + 3 + 5
    assert "Retry failed tasks" not in html


def test_the_page_draws_the_flow_with_the_word_of_each_state(admin_client, runs):
    html = admin_client.get(page(runs.failed)).content.decode()
    svg = html[html.index("<svg xmlns") : html.index("</svg>", html.index("<svg xmlns"))]
    assert svg.count('class="pgflow-edge"') == 2
    assert "pgflow-node-failed" in svg
    assert ">failed</text>" in svg
    assert ">completed, 3 of 3</text>" in svg
    assert reverse("admin:pgflow_stepstaterow_changelist") in svg


def test_the_page_of_a_failed_run_shows_the_error_and_offers_a_retry(admin_client, runs):
    html = admin_client.get(page(runs.failed)).content.decode()
    assert "total has no stock\nTraceback of it" in html
    assert "Retry failed tasks" in html


def test_the_page_of_a_started_run_says_what_steps_wait_for(admin_client, runs):
    html = admin_client.get(page(runs.started)).content.decode()
    assert html.count("waits for 1 step") == 2
    assert "queued" in html


def test_the_page_tells_of_skipped_steps(admin_client, runs):
    driving.define("fork", "left", "right", "slow")
    (run,) = driving.start("fork")
    worker_id = driving.register_worker(["fork"])
    driving.claim(worker_id, "fork", 1)
    driving.work("fork", fail_at("right"))
    html = admin_client.get(page(run)).content.decode()
    assert "run failed" in html
    assert "cancelled" in html


def test_a_large_run_takes_few_queries_and_is_shown_in_part(admin_client, db, django_assert_max_num_queries):
    driving.define("wide", "many[]")
    (run,) = driving.start("wide", list(range(400)))
    with django_assert_max_num_queries(12):
        html = admin_client.get(page(run)).content.decode()
    assert html.count("many [") == admin_runs.LISTED_TASKS
    assert f"The first {admin_runs.LISTED_TASKS} tasks." in html
    assert f"/admin/pgflow/steptaskrow/?run={run.run_id}" in html


def test_failed_tasks_of_a_large_run_come_first(admin_client, db):
    driving.define("wide", "many[]")
    (run,) = driving.start("wide", list(range(400)))

    def answer(task):
        if task.task_index == 399:
            raise driving.Failure("the last one")

    driving.work("wide", answer)
    html = admin_client.get(page(run)).content.decode()
    assert html.index("Failed tasks</h2>") < html.index("many [399]") < html.index("many [0]")


def test_large_values_are_cut_short_by_the_database(admin_client, db):
    driving.define("one", "only")
    (run,) = driving.start("one", {"text": "x" * 100_000})
    driving.work("one", lambda task: "y" * 100_000)
    html = admin_client.get(page(run)).content.decode()
    assert "cut short here" in html
    assert len(html) < 100_000


def test_long_values_are_folded_and_indented(admin_client, db):
    driving.define("one", "only")
    (run,) = driving.start("one", {str(number): number for number in range(30)})
    html = admin_client.get(page(run)).content.decode()
    assert "<details><summary>32 lines: <code>{&quot;0&quot;: 0," in html
    assert "\n  &quot;29&quot;: 29\n" in html


def test_unicode_is_shown_as_it_is(admin_client, db):
    driving.define("one", "only")
    (run,) = driving.start("one", {"name": "Żółć 漢字", "note": "long enough to be shown indented, on lines"})
    assert "Żółć 漢字" in admin_client.get(page(run)).content.decode()


@pytest.mark.parametrize("run_id", ["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "nonsense"])
def test_a_run_that_is_not_there_leads_back(admin_client, db, run_id):
    response = admin_client.get(f"{LIST}{run_id}/change/", follow=True)
    assert response.status_code == 200
    assert "exist" in response.content.decode()


def test_json_null_and_an_absent_output_are_told_apart(admin_client, db):
    driving.define("one", "only")
    (run,) = driving.start("one", {})
    assert models.Run.objects.get(pk=run.pk).output is None
    driving.work("one")
    html = admin_client.get(page(run)).content.decode()
    assert "&quot;only&quot;: null" in html or json.dumps({"only": None}) in html


def test_a_task_that_completed_after_all_shows_its_output_and_keeps_the_earlier_error(admin_client, runs):
    runs.failed.retry()
    driving.work("orders", fail_at())
    html = admin_client.get(page(runs.failed)).content.decode()
    assert html.index("&quot;done&quot;: &quot;total&quot;") < html.index("Error of an earlier attempt")
    assert "Retry failed tasks" not in html
    assert "has no stock" not in admin_client.get("/admin/pgflow/steptaskrow/").content.decode()
