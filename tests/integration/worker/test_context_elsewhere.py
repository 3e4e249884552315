"""What a handler learns by ``ctx`` where its worker is not."""

from __future__ import annotations

import json

import pytest

from django_pgflow import models
from tests.acceptance.conftest import ended, start
from tests.fixtures.worker import eventually

pytestmark = pytest.mark.acceptance


def test_in_a_process_all_can_be_asked_and_only_the_time_stands(start_worker):
    pgflow = {"FLOW_MODULES": ["tests.integration.worker.context_flows"]}
    start_worker("ctx_elsewhere", "ctx_idle", TEST_PGFLOW=json.dumps(pgflow))
    run_id = start("ctx_elsewhere", [7])
    run = models.Run.objects.get(pk=run_id)
    eventually(lambda: run.task_progress.filter(done__lt=10, text="on the way"), "the first word")
    assert ended(run_id).status == "completed"
    run.refresh_from_db()
    ((step, flow_input, meta, flow_slug, child, refusal),) = run.output["ask"]
    assert (step, flow_input, meta, flow_slug) == ("ask", [7], {}, "ctx_elsewhere")
    assert "Give the step a longer timeout=" in refusal
    assert [str(found.pk) for found in run.child_runs] == [child]
    assert run.task_progress.get().text == "done"
