"""Querysets by flow, status and signs of life."""

from __future__ import annotations

import pytest
from django.db import connection

from django_pgflow import models
from tests.fixtures import driving

pytestmark = pytest.mark.django_db


def fail(task):
    raise driving.Failure("no stock")


@pytest.fixture
def runs() -> dict[str, models.Run]:
    """A run of each status."""
    driving.define("good", "only")
    driving.define("bad", "only", "never < only")
    (completed,) = driving.start("good")
    driving.work("good")
    (failed,) = driving.start("bad")
    driving.work("bad", fail)
    (started,) = driving.start("good")
    return {"completed": completed, "failed": failed, "started": started}


def test_runs_by_status_and_flow(runs):
    for status, run in runs.items():
        assert list(getattr(models.Run.objects, status)()) == [run]
    assert list(models.Run.objects.for_flow("bad")) == [runs["failed"]]
    assert set(models.Run.objects.for_flow("good")) == {runs["completed"], runs["started"]}


def test_step_states_by_status(runs):
    assert [state.run for state in models.StepState.objects.failed()] == [runs["failed"]]
    assert [state.run for state in models.StepState.objects.completed()] == [runs["completed"]]
    assert [state.run for state in models.StepState.objects.started()] == [runs["started"]]


def test_tasks_by_status(runs):
    (failed,) = models.StepTask.objects.failed()
    assert failed.run == runs["failed"]
    assert failed.error_message == "no stock"
    assert [task.run for task in models.StepTask.objects.queued()] == [runs["started"]]
    assert [task.run for task in models.StepTask.objects.completed()] == [runs["completed"]]
    driving.claim(driving.register_worker(["good"]), "good")
    assert [task.run for task in models.StepTask.objects.started()] == [runs["started"]]


def test_workers_alive_dead_and_stopped():
    alive, dead, stopped = (driving.register_worker(["good"], name) for name in ("alive", "dead", "stopped"))
    with connection.cursor() as cursor:
        cursor.execute(
            "update pgflow.workers set last_heartbeat_at = now() - interval '31 seconds' where worker_id = any(%s)",
            [[dead, stopped]],
        )
        cursor.execute("update pgflow.workers set stopped_at = now() where worker_id = %s", [stopped])
    assert [worker.worker_id for worker in models.Worker.objects.alive()] == [alive]
    assert [worker.worker_id for worker in models.Worker.objects.dead()] == [dead]
    assert [worker.worker_id for worker in models.Worker.objects.stopped()] == [stopped]
    assert {worker.function_name: worker.state for worker in models.Worker.objects.all()} == {
        "alive": "alive",
        "dead": "dead",
        "stopped": "stopped",
    }


def test_rows_are_found_by_key(runs):
    run = runs["failed"]
    assert models.StepStateRow.objects.get(pk=f"{run.run_id}/only").error_message == "no stock"
    assert models.StepTaskRow.objects.get(key=f"{run.run_id}/only/0").status == "failed"
    assert models.FailedTask.objects.filter(pk__in=[f"{run.run_id}/only/0", "nonsense"]).count() == 1
    assert models.FailedTask.objects.get().identity == (run.run_id, "only", 0)


@pytest.mark.parametrize("key", ["", "a/b/c", "x", "6ba7b810-9dad-11d1-80b4-00c04fd430c8/only/-1", "\x00/a/0"])
def test_a_key_that_is_none_finds_nothing(key):
    assert not models.StepTaskRow.objects.filter(pk=key).exists()
    assert not models.StepTaskRow.objects.filter(pk__in=[key]).exists()
    assert not models.StepTaskRow.objects.filter(pk="6ba7b810-9dad-11d1-80b4-00c04fd430c8/only/99999999999").exists()


@pytest.mark.parametrize(
    ("model", "key"),
    [(models.StepStateRow, "{}/only"), (models.StepTaskRow, "{}/only/0"), (models.FailedTask, "{}/only/0")],
)
def test_a_key_is_looked_up_by_an_index(runs, model, key):
    keys = [key.format(run.run_id) for run in runs.values()]
    # Among a handful of rows any index will do.
    driving.start("good", count=500)
    driving.start("bad", count=500)
    driving.work("bad", fail)
    with connection.cursor() as cursor:
        cursor.execute("analyze pgflow.runs, pgflow.step_states, pgflow.step_tasks")
        cursor.execute("set local enable_seqscan = off")
    for rows in (model.objects.filter(pk=keys[0]), model.objects.filter(pk__in=keys)):
        plan = rows.order_by().explain()
        assert "Index Cond: ((run_id" in plan.replace("step_states.", "").replace("step_tasks.", ""), plan
