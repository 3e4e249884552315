"""The places of a worker that is killed are not lost."""

from __future__ import annotations

import json
import signal

import pytest

from tests.acceptance.conftest import output, start
from tests.acceptance.gates import Gate
from tests.fixtures.worker import eventually

pytestmark = pytest.mark.acceptance

SETTINGS = {"TEST_PGFLOW": json.dumps({"FLOW_MODULES": ["tests.acceptance.limited_flows"]})}


def test_what_a_killed_worker_had_and_what_waited_for_it_is_done_by_another(start_worker, tmp_path):
    gate = Gate(tmp_path / "gate")
    killed = start_worker("acc_limited", **SETTINGS)
    run_id = start("acc_limited", [str(gate)] * 5)
    eventually(lambda: len(gate.lines()) == 2, "two tasks to begin")
    other = start_worker("acc_limited", **SETTINGS)
    killed.send(signal.SIGKILL)
    eventually(lambda: len(gate.lines()) == 4, "the two to begin again")
    assert sorted(line.index for line in gate.lines()) == [0, 0, 1, 1]
    assert [line.pid for line in gate.lines()][2:] == [other.process.pid] * 2
    gate.open()
    assert output(run_id) == {"wait": [0, 1, 2, 3, 4]}
