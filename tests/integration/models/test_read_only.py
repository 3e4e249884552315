"""Nothing is written through the ORM, whichever way one tries."""

from __future__ import annotations

import pytest

from django_pgflow import exceptions, models
from tests.fixtures import driving

pytestmark = pytest.mark.django_db

WRITES = [
    ("save of a row", lambda run: run.save()),
    ("delete of a row", lambda run: run.delete()),
    ("create", lambda run: models.Run.objects.create(flow_slug="one", input={})),
    ("bulk_create", lambda run: models.Run.objects.bulk_create([models.Run(flow_slug="one", input={})])),
    ("bulk_update", lambda run: models.Run.objects.bulk_update([run], ["status"])),
    ("get_or_create", lambda run: models.Run.objects.get_or_create(run_id=run.run_id)),
    ("update_or_create", lambda run: models.Run.objects.update_or_create(run_id=run.run_id)),
    ("update", lambda run: models.Run.objects.all().update(status="failed")),
    ("delete", lambda run: models.Run.objects.all().delete()),
    ("create by a relation", lambda run: run.step_states.create(step_slug="two", flow_slug="one")),
    ("add by a relation", lambda run: run.step_states.add(run.step_states.get(), bulk=True)),
    ("update by a relation", lambda run: run.step_tasks.update(status="failed")),
    ("delete by a relation", lambda run: run.step_tasks.all().delete()),
    ("save of a row of a view", lambda run: models.StepTaskRow.objects.get().save()),
    ("delete of failed tasks", lambda run: models.FailedTask.objects.all().delete()),
    ("update of failed tasks", lambda run: models.FailedTask.rows.update(status="queued")),
]


@pytest.fixture
def run() -> models.Run:
    driving.define("one", "only")
    return driving.start("one")[0]


@pytest.mark.parametrize("write", [write for _, write in WRITES], ids=[name for name, _ in WRITES])
def test_a_write_is_refused_with_what_to_do_instead(run, write):
    with pytest.raises(exceptions.ReadOnly, match=r"read-only.*flow\.start.*run\.retry"):
        write(run)
    assert issubclass(exceptions.ReadOnly, exceptions.PgflowError)
    assert models.Run.objects.get().status == "started"


@pytest.mark.parametrize(
    "model",
    [
        models.Flow,
        models.Step,
        models.Dependency,
        models.Run,
        models.RunDetails,
        models.StepState,
        models.StepTask,
        models.FailedAttempt,
        models.TaskProgress,
        models.Worker,
    ],
)
def test_models_are_unmanaged_and_have_only_the_view_permission(model):
    assert not model._meta.managed
    assert tuple(model._meta.default_permissions) == ("view",)


def test_retrying_is_a_permission_of_its_own():
    from django.contrib.auth.models import Permission

    found = Permission.objects.filter(content_type__app_label="pgflow").values_list("codename", flat=True)
    assert set(found) == {
        "view_flow",
        "view_step",
        "view_dependency",
        "view_run",
        "view_rundetails",
        "view_stepstate",
        "view_steptask",
        "retry_steptask",
        "view_failedattempt",
        "view_taskprogress",
        "view_worker",
    }
