"""Who sees what; that nobody changes anything; that nothing hostile gets through."""

from __future__ import annotations

import itertools
import json

import pytest
from django.contrib.admin.utils import quote
from django.db import connection

from django_pgflow import models
from tests.fixtures import driving
from tests.integration.admin.conftest import HOSTILE

PAGES = {
    "run": "view_run",
    "stepstaterow": "view_stepstate",
    "steptaskrow": "view_steptask",
    "failedtask": "view_steptask",
    "flow": "view_flow",
    "worker": "view_worker",
}


def addresses(run) -> dict[str, str]:
    task = quote(f"{run.run_id}/total/0")
    worker = models.Worker.objects.first()
    return {
        "run": f"/admin/pgflow/run/{run.run_id}/",
        "stepstaterow": f"/admin/pgflow/stepstaterow/{quote(f'{run.run_id}/total')}/",
        "steptaskrow": f"/admin/pgflow/steptaskrow/{task}/",
        "flow": "/admin/pgflow/flow/orders/",
        "worker": f"/admin/pgflow/worker/{worker.pk}/",
    }


@pytest.mark.parametrize(("model", "permission"), PAGES.items())
def test_a_page_needs_the_permission_to_view_its_table(staff, runs, model, permission):
    allowed, others = staff(permission), staff(*(set(PAGES.values()) - {permission}))
    address = addresses(runs.failed).get(model)
    for page in [f"/admin/pgflow/{model}/"] + ([f"{address}change/"] if address else []):
        assert allowed.get(page).status_code == 200, page
        assert others.get(page).status_code == 403, page


def test_visitors_are_sent_to_the_login(client, runs):
    for page in itertools.chain([f"/admin/pgflow/{model}/" for model in PAGES], addresses(runs.failed).values()):
        response = client.get(page, follow=True)
        assert "/admin/login/" in response.redirect_chain[-1][0], page
    assert client.post(f"/admin/pgflow/run/{runs.failed.run_id}/retry/").status_code == 302
    assert models.Run.objects.get(pk=runs.failed.pk).status == "failed"


def test_the_page_of_a_run_hides_steps_and_tasks_that_one_may_not_view(staff, runs):
    html = staff("view_run").get(f"/admin/pgflow/run/{runs.failed.run_id}/change/").content.decode()
    assert "has no stock" not in html
    assert "pgflow-graph" not in html
    assert 'id="tasks"' not in html
    html = staff("view_run", "view_stepstate").get(f"/admin/pgflow/run/{runs.failed.run_id}/change/").content.decode()
    assert "has no stock" in html
    assert 'id="tasks"' not in html


@pytest.mark.parametrize("model", [model for model in PAGES if model != "failedtask"])
def test_nobody_adds_changes_or_deletes(admin_client, runs, model):
    address = addresses(runs.failed)[model]
    assert admin_client.get(f"/admin/pgflow/{model}/add/").status_code == 403
    assert admin_client.get(f"{address}delete/").status_code == 403
    assert admin_client.post(f"{address}delete/", {"post": "yes"}).status_code == 403
    assert admin_client.post(f"{address}change/", {"status": "completed"}).status_code == 403
    html = admin_client.get(f"{address}change/").content.decode()
    assert 'name="_save"' not in html
    assert "deletelink" not in html
    assert "delete_selected" not in admin_client.get(f"/admin/pgflow/{model}/").content.decode()


@pytest.fixture
def hostile(db) -> models.Run:
    """A failed run with markup in its input, outputs, error, elements and worker."""
    driving.define("orders", "load", "lines[] < load", "total < lines")
    (run,) = driving.start("orders", {"note": HOSTILE, HOSTILE: "x" * 100})

    def answer(task):
        if task.step_slug == "total":
            raise driving.Failure(f"{HOSTILE}\n{HOSTILE}")
        return [HOSTILE, HOSTILE] if task.step_slug == "load" else {HOSTILE: [HOSTILE] * 20}

    driving.work("orders", answer, name=HOSTILE)
    return models.Run.objects.get(pk=run.pk)


def test_all_output_is_escaped(admin_client, hostile):
    pages = [f"/admin/pgflow/{model}/" for model in PAGES]
    pages += [f"{address}change/" for address in addresses(hostile).values()]
    pages += [
        f"/admin/pgflow/run/{hostile.run_id}/retry/",
        f"/admin/pgflow/steptaskrow/{quote(f'{hostile.run_id}/lines/0')}/change/",
        f"/admin/pgflow/steptaskrow/?run={quote(HOSTILE)}&step={HOSTILE}&flow={HOSTILE}&q={HOSTILE}",
        "/admin/pgflow/failedtask/?run=%3Cscript%3Ealert(%22x%22)",
    ]
    seen = 0
    for page in pages:
        html = admin_client.get(page).content.decode()
        assert "<script>alert" not in html, page
        assert "<img src=x" not in html, page
        assert "onerror=alert(1)>" not in html, page
        seen += "&lt;script&gt;alert" in html or "\\u003cscript" in html
    assert seen >= 8


def test_a_hostile_error_is_escaped_in_the_answer_to_a_retry(admin_client, hostile):
    response = admin_client.post(f"/admin/pgflow/run/{hostile.run_id}/retry/", {"confirmed": "yes"}, follow=True)
    assert "<script>alert" not in response.content.decode()
    assert "Queued again" in response.content.decode()


def test_values_of_every_kind_of_json_are_shown(admin_client, db):
    driving.define("one", "only")
    for value in (None, True, 0, 1.5, "text", "", [], {}, [[]], {"a": None}, "\u2028", 10**30, "\\u0000"):
        (run,) = driving.start("one", value if value is not None else {"x": None})
        driving.work("one", lambda task, value=value: value)
        page = admin_client.get(f"/admin/pgflow/run/{run.run_id}/change/")
        assert page.status_code == 200, json.dumps(value)


def test_a_flow_that_was_deleted_under_a_worker_does_not_break_the_list_of_workers(admin_client, runs):
    driving.register_worker(["gone", "orders", 'quo"te'])
    with connection.cursor() as cursor:
        cursor.execute("select pgmq.drop_queue('orders')")
    assert admin_client.get("/admin/pgflow/worker/").status_code == 200
