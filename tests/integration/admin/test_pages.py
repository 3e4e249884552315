"""The other pages: step states, step tasks, flows, workers."""

from __future__ import annotations

import pytest
from django.contrib.admin.utils import quote
from django.db import connection

from django_pgflow import models
from django_pgflow.admin import workers
from tests.fixtures import driving

STATES, TASKS, FAILED, FLOWS, WORKERS = (
    f"/admin/pgflow/{name}/" for name in ("stepstaterow", "steptaskrow", "failedtask", "flow", "worker")
)


def keys(response) -> list[str]:
    return [row.key for row in response.context["cl"].result_list]


def test_step_states_are_listed_those_of_the_newest_run_first(admin_client, runs):
    assert keys(admin_client.get(STATES)) == [
        f"{run.run_id}/{slug}"
        for run in (runs.started, runs.failed, runs.completed)
        for slug in ("lines", "load", "total")
    ]


def test_step_states_are_filtered(admin_client, runs):
    assert keys(admin_client.get(f"{STATES}?status=failed")) == [f"{runs.failed.run_id}/total"]
    assert len(keys(admin_client.get(f"{STATES}?run={runs.completed.run_id}"))) == 3
    assert keys(admin_client.get(f"{STATES}?run=nonsense")) == []
    assert keys(admin_client.get(f"{STATES}?flow=other")) == []


def test_a_step_state_has_a_page(admin_client, runs):
    html = admin_client.get(f"{STATES}{quote(f'{runs.failed.run_id}/total')}/change/").content.decode()
    assert "total has no stock\nTraceback of it" in html
    assert str(runs.failed.run_id) in html
    assert "0/1" in html


def test_tasks_are_filtered_by_run_step_and_status(admin_client, runs):
    run_id = runs.completed.run_id
    assert keys(admin_client.get(f"{TASKS}?run={run_id}&step=lines")) == [f"{run_id}/lines/{n}" for n in range(3)]
    assert keys(admin_client.get(f"{TASKS}?status=failed")) == [f"{runs.failed.run_id}/total/0"]
    assert keys(admin_client.get(f"{TASKS}?status=queued")) == [f"{runs.started.run_id}/load/0"]
    assert len(keys(admin_client.get(f"{TASKS}?q={str(run_id)[:10]}"))) == 5


def test_a_task_has_a_page_with_its_element_and_worker(admin_client, runs):
    html = admin_client.get(f"{TASKS}{quote(f'{runs.completed.run_id}/lines/1')}/change/").content.decode()
    assert '<code class="pgflow-inline">20</code>' in html
    assert "shop:7" in html


def test_failed_tasks_are_listed_with_links_to_run_and_task(admin_client, runs):
    html = admin_client.get(FAILED).content.decode()
    assert f'href="/admin/pgflow/run/{runs.failed.run_id}/change/"' in html
    assert f'href="/admin/pgflow/steptaskrow/{quote(f"{runs.failed.run_id}/total/0")}/change/' in html
    assert "total has no stock" in html
    response = admin_client.get(f"{FAILED}{quote(f'{runs.failed.run_id}/total/0')}/change/", follow=True)
    assert "Traceback of it" in response.content.decode()


@pytest.mark.parametrize("address", [STATES, TASKS, FAILED, FLOWS, WORKERS])
def test_lists_take_few_queries(admin_client, runs, address, django_assert_max_num_queries):
    driving.start("orders", {}, count=60)
    with django_assert_max_num_queries(10):
        assert admin_client.get(address).status_code == 200


def test_lists_of_rows_do_not_read_large_values(admin_client, runs, django_assert_max_num_queries):
    for address in (STATES, TASKS, FAILED):
        with django_assert_max_num_queries(20) as captured:
            admin_client.get(address)
        assert not any('_rows"."output"' in query["sql"] for query in captured.captured_queries)


def test_newest_step_states_and_tasks_come_from_indexes(admin_client, runs):
    with connection.cursor() as cursor:
        cursor.execute("set local enable_seqscan = off")
    for model in (models.StepStateRow, models.StepTaskRow):
        plan = model.objects.all()[:50].explain()
        assert "Incremental Sort" in plan, plan
        assert "idx_runs_started_at" in plan, plan
    plan = models.FailedTask.objects.all()[:50].explain()
    assert "idx_step_tasks_failed_at" in plan, plan


def test_flows_are_listed_with_steps_and_newest_runs(admin_client, runs):
    html = admin_client.get(FLOWS).content.decode()
    assert "load, lines, total" in html
    for status in ("started", "completed", "failed"):
        assert (
            f'class="pgflow-status pgflow-{status}" href="/admin/pgflow/run/?flow=orders&amp;status={status}"' in html
        )
        assert f">1 {status}</a>" in html


def test_a_flow_has_a_page_with_steps_edges_and_runs(admin_client, runs, django_assert_max_num_queries):
    with django_assert_max_num_queries(10):
        html = admin_client.get(f"{FLOWS}orders/change/").content.decode()
    assert html.count('class="pgflow-edge"') == 2
    assert str(runs.completed.run_id) in html
    assert "60 s" in html


def test_a_flow_without_steps_has_a_page(admin_client, db):
    driving.define("empty")
    assert "This flow has no steps." in admin_client.get(f"{FLOWS}empty/change/").content.decode()


def test_workers_are_listed_alive_dead_and_stopped_with_their_tasks(admin_client, runs):
    busy = driving.register_worker(["orders"], "busy:1")
    driving.claim(busy, "orders")
    dead = driving.register_worker(["orders", "other"], "gone:2")
    with connection.cursor() as cursor:
        cursor.execute("delete from pgflow.workers where function_name like 'shop:%%'")
        cursor.execute(
            "update pgflow.workers set last_heartbeat_at = now() - interval '2 hours' where worker_id = %s", [dead]
        )
    html = admin_client.get(WORKERS).content.decode()
    assert '<span class="pgflow-status pgflow-alive">alive</span>' in html
    assert '<span class="pgflow-status pgflow-dead">dead</span>' in html
    assert "2 h 0 min ago" in html
    assert 'href="/admin/pgflow/flow/orders/change/"' in html
    assert workers.tasks_in_work(["orders", "nowhere"], "default") == {busy: 1}
    assert '<td class="field-in_work">1</td>' in html
    assert "gone:2" not in admin_client.get(f"{WORKERS}?state=alive").content.decode()
    assert "gone:2" in admin_client.get(f"{WORKERS}?state=dead").content.decode()
    assert "busy:1" in admin_client.get(f"{WORKERS}{busy}/change/").content.decode()


def test_the_index_offers_every_page(admin_client, runs):
    html = admin_client.get("/admin/pgflow/").content.decode()
    for address in (STATES, TASKS, FAILED, FLOWS, WORKERS, "/admin/pgflow/run/"):
        assert f'href="{address}"' in html
    assert "/add/" not in html
