"""A worker starts again when the code changes."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from tests.acceptance.conftest import output, start

pytestmark = pytest.mark.acceptance

FLOWS = """
import time
from django_pgflow import Flow

reloaded = Flow("acc_reloaded")

@reloaded.step
def version(flow_input):
    time.sleep(flow_input["seconds"])
    return {version}
"""


def test_autoreload_finishes_the_old_and_runs_the_new(start_worker, tmp_path):
    module = tmp_path / "reloaded_flows.py"
    module.write_text(FLOWS.format(version=1))
    os.utime(module, (time.time() - 10, time.time() - 10))
    worker = start_worker(
        "--autoreload",
        "acc_reloaded",
        PYTHONPATH=f"{tmp_path}:{os.getcwd()}",
        PYTHONDONTWRITEBYTECODE="1",
        TEST_PGFLOW=json.dumps({"FLOW_MODULES": ["reloaded_flows"]}),
    )
    assert output(start("acc_reloaded", {"seconds": 0})) == {"version": 1}
    slow = start("acc_reloaded", {"seconds": 3})
    worker.wait_for_log("Task started", count=2)
    module.write_text(FLOWS.format(version=2))
    worker.wait_for_log("Worker started", count=2)
    assert output(slow) == {"version": 1}
    assert output(start("acc_reloaded", {"seconds": 0})) == {"version": 2}
    worker.send(signal.SIGTERM)
    worker.wait()
