"""Retrying failed tasks: confirmed, guarded, logged, answered task by task."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.messages import get_messages
from django.test import Client

from django_pgflow import models
from django_pgflow.admin import actions
from tests.fixtures import driving
from tests.integration.admin.conftest import fail_at

LIST = "/admin/pgflow/failedtask/"
VIEW = ("view_run", "view_steptask", "view_stepstate")


def key(run) -> str:
    return f"{run.run_id}/total/0"


def chosen(*found: str, **more: str) -> dict:
    return {"action": "retry_selected", "_selected_action": list(found), **more}


def messages(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def status(run) -> str:
    return models.Run.objects.get(pk=run.pk).status


def test_the_action_asks_first_and_counts(admin_client, runs):
    response = admin_client.post(LIST, chosen(key(runs.failed)))
    html = response.content.decode()
    assert "Retry 1 failed task?" in html
    assert "One run goes on from there" in html
    assert str(runs.failed.run_id)[:8] in html
    assert status(runs.failed) == "failed"
    assert not LogEntry.objects.exists()


def test_a_confirmed_retry_lets_the_run_go_on_and_keeps_finished_work(admin_client, runs):
    response = admin_client.post(LIST, chosen(key(runs.failed), confirmed="yes"))
    assert response.status_code == 302
    assert messages(response) == [
        f"Queued again, with fresh attempts (1): orders {str(runs.failed.run_id)[:8]} / total [0]"
    ]
    assert status(runs.failed) == "started"

    driving.work("orders", fail_at())
    assert status(runs.failed) == "completed"
    attempts = models.StepTask.objects.filter(run=runs.failed).exclude(step_slug="total")
    assert set(attempts.values_list("attempts_count", flat=True)) == {1}


def test_each_retried_task_is_logged(admin_client, admin_user, runs):
    admin_client.post(LIST, chosen(key(runs.failed), confirmed="yes"))
    entry = LogEntry.objects.get(content_type=ContentType.objects.get_for_model(models.StepTaskRow))
    assert (entry.user, entry.action_flag, entry.object_id) == (admin_user, CHANGE, key(runs.failed))
    assert entry.get_change_message() == "Retried the failed task."
    assert admin_client.get(entry.get_admin_url()).status_code == 200
    entry = LogEntry.objects.get(content_type=ContentType.objects.get_for_model(models.Run))
    assert entry.object_id == str(runs.failed.run_id)
    history = admin_client.get(f"/admin/pgflow/run/{runs.failed.run_id}/history/").content.decode()
    assert "Retried failed tasks of the run." in history


def test_each_task_gets_its_answer(admin_client, runs):
    gone = "6ba7b810-9dad-11d1-80b4-00c04fd430c8/total/0"
    done = f"{runs.completed.run_id}/total/0"
    response = admin_client.post(LIST, chosen(key(runs.failed), done, gone, "nonsense", confirmed="yes"))
    assert set(messages(response)) == {
        f"Queued again, with fresh attempts (1): orders {str(runs.failed.run_id)[:8]} / total [0]",
        f"Not retried: the task is not failed (any more) (1): orders {str(runs.completed.run_id)[:8]} / total [0]",
        "Not retried: the task does not exist any more (1): ? 6ba7b810 / total [0]",
    }


def test_a_task_retried_meanwhile_is_answered_not_retried_twice(admin_client, runs):
    assert admin_client.post(LIST, chosen(key(runs.failed))).status_code == 200
    models.Run.objects.get(pk=runs.failed.pk).retry()
    response = admin_client.post(LIST, chosen(key(runs.failed), confirmed="yes"))
    assert messages(response) == [
        f"Not retried: the task is not failed (any more) (1): orders {str(runs.failed.run_id)[:8]} / total [0]"
    ]
    assert not LogEntry.objects.exists()


def test_many_tasks_across_runs_are_retried_at_once(admin_client, runs, django_assert_max_num_queries):
    driving.start("orders", {}, count=30)
    driving.work("orders", fail_at("load"))
    keys = [task.key for task in models.FailedTask.objects.filter(step_slug="load")]
    html = admin_client.post(LIST, chosen(*keys)).content.decode()
    assert "Retry 31 failed tasks?" in html
    assert "31 runs go on from there" in html
    assert "and 11 more" in html
    with django_assert_max_num_queries(16):
        response = admin_client.post(LIST, chosen(*keys, confirmed="yes"))
    (message,) = messages(response)
    assert "(31)" in message
    assert "and 11 more" in message
    assert LogEntry.objects.filter(content_type__model="steptaskrow").count() == 31
    assert models.FailedTask.objects.filter(step_slug="load").count() == 0


def test_all_tasks_across_pages_can_be_chosen_up_to_a_limit(admin_client, runs, monkeypatch):
    monkeypatch.setattr(actions, "MAX_TASKS", 5)
    driving.start("orders", {}, count=8)
    driving.work("orders", fail_at("load"))
    html = admin_client.post(LIST, chosen(key(runs.failed), select_across="1")).content.decode()
    assert "Retry 5 failed tasks?" in html
    assert "More were chosen; 5 are retried at a time." in html
    assert html.count('name="_selected_action"') == 5


def test_nothing_happens_by_get(admin_client, runs):
    admin_client.get(LIST, chosen(key(runs.failed), confirmed="yes"))
    response = admin_client.get(f"/admin/pgflow/run/{runs.failed.run_id}/retry/", {"confirmed": "yes"})
    assert "Retry 1 failed task?" in response.content.decode()
    assert status(runs.failed) == "failed"


def test_the_token_against_forgery_is_required(admin_user, runs):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.post(LIST, chosen(key(runs.failed), confirmed="yes")).status_code == 403
    assert client.post(f"/admin/pgflow/run/{runs.failed.run_id}/retry/").status_code == 403
    assert status(runs.failed) == "failed"


def test_the_action_needs_its_permission(staff, runs):
    client = staff(*VIEW)
    html = client.get(LIST).content.decode()
    assert "total has no stock" in html
    assert "retry_selected" not in html
    client.post(LIST, chosen(key(runs.failed), confirmed="yes"))
    assert status(runs.failed) == "failed"

    client = staff(*VIEW, "retry_steptask")
    assert "retry_selected" in client.get(LIST).content.decode()
    client.post(LIST, chosen(key(runs.failed), confirmed="yes"))
    assert status(runs.failed) == "started"


def test_the_permission_to_retry_alone_shows_nothing(staff, runs):
    client = staff("retry_steptask")
    assert client.post(LIST, chosen(key(runs.failed), confirmed="yes")).status_code == 403
    assert client.post(f"/admin/pgflow/run/{runs.failed.run_id}/retry/").status_code == 403
    assert status(runs.failed) == "failed"


def test_a_run_is_retried_from_its_page(staff, runs):
    address = f"/admin/pgflow/run/{runs.failed.run_id}/"
    viewer = staff(*VIEW)
    assert f"{address}retry/" not in viewer.get(f"{address}change/").content.decode()
    assert viewer.get(f"{address}retry/").status_code == 403
    assert viewer.post(f"{address}retry/").status_code == 403
    assert status(runs.failed) == "failed"

    operator = staff(*VIEW, "retry_steptask")
    assert f"{address}retry/" in operator.get(f"{address}change/").content.decode()
    assert "Retry 1 failed task?" in operator.get(f"{address}retry/").content.decode()
    response = operator.post(f"{address}retry/", {"confirmed": "yes"})
    assert (response.status_code, response["Location"]) == (302, f"{address}change/")
    assert status(runs.failed) == "started"
    assert f"{address}retry/" not in operator.get(f"{address}change/").content.decode()


def test_retrying_a_run_without_failed_tasks_says_so(admin_client, runs):
    address = f"/admin/pgflow/run/{runs.completed.run_id}/retry/"
    assert "There is no failed task to retry." in admin_client.get(address).content.decode()
    response = admin_client.post(address)
    assert messages(response) == ["This run has no failed task, so nothing was retried."]


@pytest.mark.parametrize("run_id", ["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "nonsense"])
def test_retrying_a_run_that_is_not_there_is_not_found(admin_client, db, run_id):
    assert admin_client.get(f"/admin/pgflow/run/{run_id}/retry/").status_code == 404
    assert admin_client.post(f"/admin/pgflow/run/{run_id}/retry/").status_code == 404
