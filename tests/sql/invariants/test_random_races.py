"""Random flows under random calls of several sessions at once."""

from __future__ import annotations

import random
import time

import pytest

from tests.fixtures.sql import DEADLINE, Sessions
from tests.sql.invariants import rules
from tests.sql.invariants.test_random_runs import RandomWorker


@pytest.mark.parametrize("seed", range(3))
def test_several_sessions_never_deadlock_and_leave_the_rules_intact(sessions: Sessions, seed: int) -> None:
    chance = random.Random(seed)
    opener = sessions.open()
    flow = rules.RandomFlow.make(chance, "race")
    flow.define(opener, max_attempts=2, base_delay=0)
    end = time.monotonic() + 1.0

    def work(seed: int) -> int:
        worker = RandomWorker(sessions.open(), flow, random.Random(seed))
        acts = 0
        while acts < 150 and time.monotonic() < end:
            worker.act()
            acts += 1
        return acts

    futures = [sessions.begin(work, 10 * seed + n) for n in range(4)]
    assert sum(future.result(timeout=DEADLINE) for future in futures) > 0
    rules.check(opener, flow)
    rules.finish(opener, flow)
    assert set(rules.check(opener, flow)) <= {"completed"}
