"""Random flows under random calls, of which many are late, repeated, stale or wrong."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.fixtures.sql import Sql, completed, failed, released, report
from tests.sql.invariants import rules


class RandomWorker:
    """One session that claims and reports as chance will have it."""

    def __init__(self, sql: Sql, flow: rules.RandomFlow, chance: random.Random) -> None:
        self.sql = sql
        self.flow = flow
        self.chance = chance
        self.workers = [sql.worker(), sql.worker()]
        # Tasks that were claimed at some time; most of the late ones have other owners by now.
        self.claimed: list[Any] = []

    def act(self) -> None:
        """Do one thing."""
        self.chance.choice(
            [
                self.start,
                self.claim,
                self.claim,
                self.exchange,
                self.exchange,
                *[self.report] * 4,
                self.stall,
                self.retry,
            ]
        )()

    def start(self) -> None:
        """Start a run over up to three elements, if few are open: the others are to meet in them."""
        open_runs = self.sql.value(
            "select count(*) from pgflow.runs where flow_slug = %(slug)s and status = 'started'", slug=self.flow.slug
        )
        if open_runs < 3:
            self.sql.start(self.flow.slug, list(range(self.chance.randint(0, 3))))

    def claim(self) -> None:
        """Read and start in two phases."""
        self.claimed += self.sql.claim(self.flow.slug, self.chance.randint(1, 4), self.chance.choice(self.workers))

    def exchange(self) -> None:
        """Report on some tasks and claim others in one call."""
        outcomes: list[Callable[..., Any]] = [completed, failed, released]
        reports = {}
        for task in self.chance.sample(self.claimed, k=min(len(self.claimed), 3)):
            row = self.sql.task(task.run_id, task.step_slug, task.task_index)
            outcome = self.chance.choices(outcomes, weights=[6, 3, 1])[0]
            done = outcome(_with_attempt(task, row.attempts_count), *self._output(task, outcome is completed))
            reports[task.run_id, task.step_slug, task.task_index] = done
        records = self.sql.exchange(
            [self.flow.slug],
            *reports.values(),
            capacity=self.chance.randint(0, 3),
            worker_id=self.chance.choice(self.workers),
        )
        self.claimed += [record for record in records if record.kind == "claimed"]

    def report(self) -> None:
        """Report on a task, which may be another's by now, with or without a fence."""
        if not self.claimed:
            return
        task = self.chance.choice(self.claimed)
        fence = self.chance.choice([{}, {}, {"attempt": 1}, {"worker_id": self.chance.choice(self.workers)}])
        if self.chance.random() < 0.7:
            self.sql.complete(task, *self._output(task, True), **fence)
        else:
            self.sql.fail(task, "chance", **fence)

    def stall(self) -> None:
        """Let a task be found stalled."""
        if self.claimed:
            self.sql.age(self.chance.choice(self.claimed), 10_000)
            self.sql.requeue_stalled_tasks()

    def retry(self) -> None:
        """Retry some of the failed tasks."""
        if tasks := rules.failed_tasks(self.sql, self.flow):
            self.sql.retry(*self.chance.sample(tasks, k=self.chance.randint(1, len(tasks))))

    def _output(self, task: Any, wanted: bool) -> tuple[Any, ...]:
        if not wanted:
            return ()
        wrong = self.chance.random() < 0.05
        return ({"wrong": "type"} if wrong else self.flow.output(task.step_slug, task.input),)


def _with_attempt(task: Any, attempt: int) -> Any:
    """Let a task claimed in two phases, which is not told its attempt, know it."""
    return task if hasattr(task, "attempt") else report(_Attempt(task, attempt), "started")


class _Attempt:
    def __init__(self, task: Any, attempt: int) -> None:
        self.run_id, self.step_slug, self.task_index = task.run_id, task.step_slug, task.task_index
        self.attempt = attempt


@pytest.mark.parametrize("seed", range(12))
def test_the_rules_hold_after_every_call_and_every_run_can_be_finished(sql: Sql, seed: int) -> None:
    chance = random.Random(seed)
    flow = rules.RandomFlow.make(chance, "flow")
    flow.define(sql, max_attempts=chance.randint(1, 3), base_delay=0)
    worker = RandomWorker(sql, flow, chance)
    for _ in range(40):
        worker.act()
        rules.check(sql, flow)
    worker.start()
    rules.finish(sql, flow)
    assert set(rules.check(sql, flow)) == {"completed"}


def test_random_flows_come_to_all_ends(sql: Sql) -> None:
    chance = random.Random(0)
    ends: Counter[str] = Counter()
    for n in range(6):
        flow = rules.RandomFlow.make(chance, f"flow{n}")
        flow.define(sql, max_attempts=2, base_delay=0)
        worker = RandomWorker(sql, flow, chance)
        for _ in range(30):
            worker.act()
        ends += rules.check(sql, flow)
    # The chances are such that the test above sees something.
    assert min(ends[status] for status in ("started", "completed", "failed")) > 0
