"""All functions at once on the same runs, by two to eight connections, for some seconds each.

``HAMMERING_SECONDS`` lets it go on for longer. A failure names the seed; how the
connections meet is chance all the same.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.concurrency import invariants
from tests.fixtures.sql import Sessions, Sql

SECONDS = float(os.environ.get("HAMMERING_SECONDS") or 1.5)
SLUG = "hammered"
TaskKey = tuple[UUID, str, int]


def define(sql: Sql) -> None:
    """Make a flow of all kinds of steps."""
    sql.call("pgflow.create_flow", flow_slug=SLUG, max_attempts=2, base_delay=0)
    sql.add_step(SLUG, "list")
    sql.add_step(SLUG, "each", ["list"], step_type="map", max_attempts=3)
    sql.add_step(SLUG, "again", ["each"], step_type="map", when_exhausted="skip")
    sql.add_step(SLUG, "optional", when_exhausted="skip")
    sql.add_step(SLUG, "elements", ["optional"], step_type="map")
    sql.add_step(SLUG, "fragile", when_exhausted="skip-cascade")
    sql.add_step(SLUG, "behind", ["fragile"])
    sql.add_step(SLUG, "unless", ["optional"], forbidden_input_pattern=Jsonb({"optional": []}))
    sql.add_step(SLUG, "join", ["again", "elements", "behind", "unless"])


class Hammer:
    """One connection that does what comes to its mind, and remembers which of its completions were taken."""

    def __init__(self, sql: Sql, number: int, seed: int) -> None:
        self.sql = sql
        self.number = number
        self.chance = random.Random(f"{seed} {number}")
        self.worker_id = sql.worker()
        self.tokens = (f"{number}/{n}" for n in itertools.count())
        self.held: list[Any] = []
        self.taken: list[tuple[TaskKey, str]] = []
        self.calls: Counter[str] = Counter()

    def work(self, end: float) -> Hammer:
        """Go on until a time."""
        verbs = [self.start, self.start_bulk, *[self.exchange] * 8, *[self.two_phases] * 3, *[self.report] * 3]
        verbs += [self.stall, self.retry, self.resume, self.cancel, self.other_flow]
        while time.monotonic() < end:
            verb = self.chance.choice(verbs)
            self.calls[verb.__name__] += 1
            verb()
        return self

    def start(self) -> None:
        self.sql.call("django_pgflow.start_flow", flow_slug=SLUG, input=Jsonb({}))

    def start_bulk(self) -> None:
        self.sql.call("django_pgflow.start_flows", flow_slug=SLUG, inputs=[Jsonb({}), Jsonb([])])

    def exchange(self) -> None:
        """Report on tasks in every way, late or twice among them, and claim others."""
        tasks = [task for task in self.held if self.chance.random() < 0.7][:20]
        reports = [(task, self._outcome(task), next(self.tokens)) for task in tasks]
        rows = self.sql.call(
            "django_pgflow.exchange",
            worker_id=self.worker_id,
            flow_slugs=[SLUG],
            capacity=self.chance.choice([0, 3, 10]),
            run_ids=[task.run_id for task, _, _ in reports],
            step_slugs=[task.step_slug for task, _, _ in reports],
            task_indexes=[task.task_index for task, _, _ in reports],
            attempts=[task.attempt for task, _, _ in reports],
            outcomes=[outcome for _, outcome, _ in reports],
            outputs=[Jsonb([token, token]) for _, _, token in reports],
            error_messages=["hammered"] * len(reports),
            delays=[0] * len(reports),
        )
        refused = {(key(row), row.attempt) for row in rows if row.kind == "refused"}
        for task, outcome, token in reports:
            if outcome == "completed" and (key(task), task.attempt) not in refused:
                self.taken.append((key(task), token))
        if self.chance.random() < 0.8:
            self.held = [task for task in self.held if task not in tasks]
        self.held += [row for row in rows if row.kind == "claimed"]

    def two_phases(self) -> None:
        """Claim and report by the functions of the contract."""
        for task in self.sql.claim(SLUG, self.chance.randint(1, 5), self.worker_id):
            token = next(self.tokens)
            if self.chance.random() < 0.8:
                row = self.sql.complete(task, [token, token])
                if row.status == "completed" and row.output == [token, token]:
                    self.taken.append((key(task), token))
            else:
                self.sql.fail(task, "hammered")

    def report(self) -> None:
        """Report by the functions of the contract on a task that may be another's by now, with the fence."""
        if self.held:
            task, token = self.chance.choice(self.held), next(self.tokens)
            row = self.sql.complete(task, [token, token], worker_id=self.worker_id, attempt=task.attempt)
            if row.status == "completed" and row.output == [token, token]:
                self.taken.append((key(task), token))

    def stall(self) -> None:
        """Fall silent over some tasks, and look for stalled ones."""
        for task in self.chance.sample(self.held, k=min(2, len(self.held))):
            self.sql.age(task, 1000)
        self.sql.requeue_stalled_tasks()

    def retry(self) -> None:
        failed = self.sql.rows(
            "select run_id, step_slug, task_index from pgflow.step_tasks "
            "where flow_slug = %(slug)s and status = 'failed' order by random() limit 3",
            slug=SLUG,
        )
        if failed:
            self.sql.call(
                "django_pgflow.retry_tasks",
                run_ids=[task.run_id for task in failed],
                step_slugs=[task.step_slug for task in failed],
                task_indexes=[task.task_index for task in failed],
            )

    def resume(self) -> None:
        self.sql.call("django_pgflow.resume_runs", run_ids=self._runs("failed", 3))

    def cancel(self) -> None:
        self.sql.call("django_pgflow.cancel_runs", run_ids=self._runs("started", 2), reason="hammered")

    def other_flow(self) -> None:
        """Define another flow, run it a little, and delete it."""
        slug = f"other{self.number}"
        self.sql.define(slug, "a", "b < a")
        self.sql.start(slug, {})
        self.sql.claim(slug, worker_id=self.worker_id)
        self.sql.call("pgflow.delete_flow_and_data", p_flow_slug=slug)

    def _runs(self, status: str, count: int) -> list[UUID]:
        rows = self.sql.rows(
            "select run_id from pgflow.runs where flow_slug = %(slug)s and status = %(status)s "
            "order by random() limit %(count)s",
            slug=SLUG,
            status=status,
            count=count,
        )
        return [row.run_id for row in rows]

    def _outcome(self, task: Any) -> str:
        outcomes = ["completed", "failed", "exhausted", "released", "skipped"]
        return self.chance.choices(outcomes, weights=[70, 12, 6, 6, 6])[0]


def key(task: Any) -> TaskKey:
    """Name a task."""
    return task.run_id, task.step_slug, task.task_index


def end_all_runs(sql: Sql) -> None:
    """Cancel some runs; let all others come to a good end."""
    started = sql.rows("select run_id from pgflow.runs where flow_slug = %(slug)s and status = 'started'", slug=SLUG)
    sql.call("django_pgflow.cancel_runs", run_ids=[row.run_id for row in started[::2]])
    for _ in range(1000):
        sql.rows(
            "select django_pgflow.resume_runs(array(select run_id from pgflow.runs "
            "where flow_slug = %(slug)s and status = 'failed'))",
            slug=SLUG,
        )
        sql.rows(
            "update pgflow.step_tasks set queued_at = queued_at - interval '1 day', requeued_count = 0, "
            "started_at = started_at - interval '1 day' where flow_slug = %(slug)s and status = 'started'",
            slug=SLUG,
        )
        sql.requeue_stalled_tasks()
        sql.hurry(SLUG)
        tasks = sql.exchange([SLUG], capacity=1000)
        sql.call(
            "django_pgflow.exchange",
            worker_id=sql.worker_id,
            flow_slugs=[SLUG],
            capacity=0,
            run_ids=[task.run_id for task in tasks],
            step_slugs=[task.step_slug for task in tasks],
            task_indexes=[task.task_index for task in tasks],
            attempts=[task.attempt for task in tasks],
            outcomes=["completed"] * len(tasks),
            outputs=[Jsonb(["end"]) for _ in tasks],
            error_messages=[None] * len(tasks),
        )
        if not tasks:
            return
    raise AssertionError("The runs do not come to an end.")


@pytest.mark.timeout(120 + 10 * SECONDS)
@pytest.mark.parametrize("connections", [2, 4, 8])
def test_nothing_is_lost_or_done_twice(sessions: Sessions, connections: int) -> None:
    seed = random.randrange(1_000_000)
    opener = sessions.open()
    opener.rows("set statement_timeout = '60s'")
    define(opener)
    for _ in range(4):
        opener.start(SLUG, {})
    end = time.monotonic() + SECONDS
    hammers = [Hammer(sessions.open(), number, seed) for number in range(connections)]
    futures = [sessions.begin(hammer.work, end) for hammer in hammers]
    for future in futures:
        # No deadlock, no other error.
        future.result(timeout=SECONDS + 30)
    calls = sum((hammer.calls for hammer in hammers), Counter())

    assert invariants.broken(opener, SLUG) == {}, f"seed {seed}, calls {calls}"
    taken = [completion for hammer in hammers for completion in hammer.taken]
    assert [key for key, count in Counter(key for key, _ in taken).items() if count > 1] == []
    stored = opener.rows(
        "select run_id, step_slug, task_index, output from pgflow.step_tasks "
        "where flow_slug = %(slug)s and status = 'completed'",
        slug=SLUG,
    )
    assert {key(row): row.output for row in stored} == {task: [token, token] for task, token in taken}
    assert len(taken) > 0

    end_all_runs(opener)
    assert invariants.broken(opener, SLUG) == {}, f"seed {seed}, calls {calls}"
    statuses = opener.rows("select distinct status from pgflow.runs where flow_slug = %(slug)s", slug=SLUG)
    assert [row.status for row in statuses] == ["completed"], f"seed {seed}, calls {calls}"
