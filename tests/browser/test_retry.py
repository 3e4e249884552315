"""A person finds out in the admin why a run failed, mends the cause, retries, and sees the run complete."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from django_pgflow import client, models
from tests import factories
from tests.fixtures.worker import eventually
from tests.testapp import flows

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def failed_run(start_worker: Callable[..., Any], tmp_path: Path) -> Iterator[models.Run]:
    """A run of ``flaky`` that a worker has failed, since its file is missing; the worker goes on."""
    factories.StaffFactory(username="ann", is_superuser=True)
    worker = start_worker("flaky", "diamond", "fan_out")
    completed = [flows.diamond.start(number=4), flows.fan_out.start(count=12)]
    run = flows.flaky.start(until=str(tmp_path / "ready.txt"))
    eventually(lambda: client.get(run.run_id).status == "failed", "the failure of the run")
    for other in completed:
        eventually(lambda other=other: client.get(other.run_id).status == "completed", "the other runs")
    yield models.Run.objects.get(pk=run.run_id)
    # In order, so that its connections are gone when the test database is dropped.
    worker.send(signal.SIGTERM)
    worker.wait()


def mend(run: models.Run) -> None:
    """Do what makes the step succeed."""
    Path(run.input["until"]).write_text("all is well")


def see_completed(visitor: Any) -> None:
    """Reload the run's page until it says completed."""

    def completed() -> bool:
        visitor.page.reload()
        return bool(visitor.page.locator(".pgflow-facts .pgflow-completed").count())

    eventually(completed, "a run's page that says completed")


def test_from_the_failed_run_to_its_completion(failed_run, visit):
    visitor = visit()
    page = visitor.page
    visitor.log_in("ann", "secret")
    visitor.picture("index")

    page.get_by_role("link", name="Runs", exact=True).first.click()
    row = page.locator("#result_list tbody tr", has_text="failed")
    assert "There is no" in row.inner_text()
    assert row.count() == 1
    visitor.picture("runs")

    row.locator("th a").click()
    assert "FileNotFoundError" in page.locator("#steps").inner_text()
    assert page.locator("svg.pgflow-graph g[data-node=fragile] text").all_text_contents() == ["fragile", "failed"]
    visitor.picture("run-failed")

    mend(failed_run)
    visitor.go("/admin/pgflow/failedtask/")
    page.locator("#result_list tbody tr", has_text="fragile").locator("input.action-select").check()
    visitor.picture("failed-tasks-before")
    page.get_by_label("Action:").select_option("Retry selected tasks")
    page.get_by_role("button", name=re.compile("Go|Run")).click()
    assert "Retry 1 failed task?" in page.inner_text("#content")
    visitor.picture("retry-confirmation")
    page.get_by_role("button", name="Retry").click()
    assert "Queued again, with fresh attempts (1)" in page.inner_text(".messagelist")
    assert page.locator("#result_list tbody tr").count() == 0
    visitor.picture("failed-tasks-after")

    visitor.go(f"/admin/pgflow/run/{failed_run.run_id}/change/")
    see_completed(visitor)
    assert "all is well" in page.locator("#output").inner_text()
    visitor.picture("run-completed")
    assert visitor.problems == []


def test_from_the_run_page_in_the_dark(failed_run, visit):
    visitor = visit(dark=True)
    page = visitor.page
    visitor.log_in("ann", "secret")
    visitor.go("/admin/pgflow/run/")
    visitor.picture("dark-runs")
    visitor.go(f"/admin/pgflow/run/{failed_run.run_id}/change/")
    visitor.picture("dark-run-failed")
    page.get_by_role("link", name="Retry failed tasks").click()
    mend(failed_run)
    page.get_by_role("button", name="Retry").click()
    assert "Queued again" in page.inner_text(".messagelist")
    see_completed(visitor)
    visitor.picture("dark-run-completed")
    assert visitor.problems == []


@pytest.fixture
def paths(failed_run: models.Run) -> dict[str, str]:
    """Pages, besides those that the other tests visit."""
    run = models.Run.objects.get(flow_slug="fan_out")
    worker = models.Worker.objects.get()
    return {
        "step-states": "stepstaterow/",
        "step-state": f"stepstaterow/{failed_run.run_id}_2Ffragile/change/",
        "tasks": "steptaskrow/",
        "task": f"steptaskrow/{failed_run.run_id}_2Ffragile_2F0/change/",
        "flows": "flow/",
        "flow": "flow/fan_out/change/",
        "workers": "worker/",
        "worker": f"worker/{worker.pk}/change/",
        "run-map": f"run/{run.run_id}/change/",
    }


def test_every_page_opens_without_a_complaint_of_the_browser(paths, visit):
    visitor = visit()
    visitor.log_in("ann", "secret")
    for name, path in paths.items():
        visitor.go(f"/admin/pgflow/{path}")
        assert visitor.page.locator("#content h1, #content h2").first.is_visible()
        visitor.picture(name)
    assert visitor.problems == []
