"""The core against its model: random flows, random calls, and after each call the same state on both sides.

``HYPOTHESIS_PROFILE=deep`` runs thousands of examples, new ones each time; the default are a hundred, always the same.
A failure prints the shortest calls that lead to it; ``--hypothesis-seed`` repeats a deep run.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg.rows import namedtuple_row

from tests.fixtures.sql import Sql
from tests.model import strategies
from tests.model.contract import Model, Refused, Run
from tests.model.database import Database, short
from tests.model.values import ABSENT, Flow, Report, State, Task, TaskKey

COMMON = settings(
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
PROFILES = {
    "default": settings(COMMON, max_examples=100, stateful_step_count=35, derandomize=True),
    "deep": settings(COMMON, max_examples=2000, stateful_step_count=30),
}
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")

OUTCOMES = ("completed", "completed", "failed", "skipped", "exhausted", "released", "failed", "skipped")


class Machine(RuleBasedStateMachine):
    """Calls to the core and to the model."""

    sql: Sql

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    @initialize(data=st.data(), one=strategies.flows("one"), two=st.none() | strategies.flows("two"))
    def define(self, data: st.DataObject, one: Flow, two: Flow | None) -> None:
        self.flows = [one, two] if two else [one]
        self.slugs = [flow.slug for flow in self.flows]
        self.database = Database(self.sql, self.flows)
        self.known_messages: dict[str, set[int]] = {slug: set() for slug in self.slugs}
        self.told: dict[UUID, int] = {}
        self.start(data, one)

    def teardown(self) -> None:
        self.sql.connection.rollback()

    # Starting and claiming

    @precondition(lambda self: len([run for run in self.model.runs.values() if run.status == "started"]) < 3)
    @rule(data=st.data())
    def start_another(self, data: st.DataObject) -> None:
        self.start(data, data.draw(st.sampled_from(self.flows), "flow"))

    def start(self, data: st.DataObject, flow: Flow) -> None:
        value = data.draw(strategies.inputs(flow), "input")
        run_id = UUID(int=len(self.model.runs) + 1)
        error = self.database.start(flow, run_id, value)
        if expected := _refusal(flow, value):
            assert error.startswith(expected)
        else:
            assert error == ""
            self.model.start(flow, run_id, value)

    @precondition(lambda self: len([run for run in self.model.runs.values() if run.status == "started"]) < 3)
    @rule(data=st.data())
    def start_many(self, data: st.DataObject) -> None:
        """Start several runs in one call, or none of them."""
        flow = data.draw(st.sampled_from(self.flows), "flow")
        values = data.draw(st.lists(strategies.inputs(flow), min_size=1, max_size=3), "inputs")
        run_ids = [UUID(int=len(self.model.runs) + 1 + n) for n in range(len(values))]
        refused = [error for value in values if (error := _refusal(flow, value))]
        error = self.database.start_many(flow, run_ids, values)
        if refused:
            assert error.startswith(refused[0])
        else:
            assert error == ""
            for run_id, value in zip(run_ids, values, strict=True):
                self.model.start(flow, run_id, value)

    @rule(data=st.data())
    def start_tasks(self, data: st.DataObject) -> None:
        slug = data.draw(st.sampled_from(self.slugs), "flow")
        worker = data.draw(st.sampled_from(self.database.workers), "worker")
        ids = data.draw(st.sets(st.sampled_from([*sorted(self.known_messages[slug]), 999_999])), "messages")
        self._start_tasks(slug, sorted(ids), worker)

    # Reporting

    @rule(data=st.data(), rounds=st.integers(1, 3))
    def work(self, data: st.DataObject, rounds: int) -> None:
        """Let a worker report on all that it has, mostly well, and take all that waits; and so on."""
        worker = data.draw(st.sampled_from(self.database.workers), "worker")
        for n in range(rounds):
            if n:
                self.both_sides_agree()
            outcomes = data.draw(st.sampled_from([["completed"], OUTCOMES]), "outcomes")
            reports = [self._draw_report(data, task, outcomes=outcomes) for task in self._started(worker)]
            self.wait(only_queued=True)
            self._exchange(worker, self.slugs, 100, reports)

    @rule(data=st.data())
    def exchange(self, data: st.DataObject) -> None:
        """Let a worker report on some of what it has, and late or again on what it has not, and take what is due."""
        worker = data.draw(st.sampled_from(self.database.workers), "worker")
        slugs = data.draw(st.sampled_from([[slug] for slug in self.slugs] + [self.slugs]), "flows")
        capacity = data.draw(st.sampled_from([3, 0, 1, 100] if len(slugs) == 1 else [100, 0]), "capacity")
        started = [task for task in self._started(worker) if data.draw(st.integers(0, 4), "leave it?")]
        reports = [self._draw_report(data, task) for task in started]
        if everything := self.model.tasks():
            for task in data.draw(st.lists(st.sampled_from(everything), max_size=2), "others"):
                reports.append(self._draw_report(data, task, stale=True))
        self._exchange(worker, slugs, capacity, data.draw(st.permutations(reports), "reports"))

    @precondition(lambda self: self.model.tasks())
    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        """Report by the contract's functions, perhaps late or again, with a fence or without."""
        task = data.draw(st.sampled_from(self.model.tasks()), "task")
        worker = data.draw(st.sampled_from([None, None, *self.database.workers]), "worker")
        report = self._draw_report(data, task, stale=worker is not None, outcomes=["completed", "failed"])
        report = dataclasses.replace(report, delay=None, attempt=report.attempt if worker else None)
        self.model.report([report], worker)
        assert self.database.report(report, worker) == task.status

    # Time, and verbs of people

    @precondition(lambda self: any(task.is_live and not task.visible for task in self.model.tasks()))
    @rule()
    def wait_for_all(self) -> None:
        self.wait(only_queued=False)

    def wait(self, only_queued: bool) -> None:
        """Let the delays of all messages pass, or of those whose task waits."""
        for slug in self.slugs:
            due = [task for task in self._live(slug) if task.status == "queued" or not only_queued]
            for task in due:
                task.visible = True
            self.database.set_visible(slug, [task.message_id for task in due])

    @precondition(lambda self: self._started())
    @rule(data=st.data(), seconds=st.sampled_from([100, 10_000, 10_000]), times=st.integers(1, 4))
    def stall(self, data: st.DataObject, seconds: int, times: int) -> None:
        """Let workers fall silent over some tasks, and those who take these over, too."""
        keys = st.sampled_from([task.key for task in self._started()])
        stalled = [self.model.task(key) for key in sorted(data.draw(st.sets(keys, min_size=1), "tasks"))]
        for n in range(times):
            if n:
                self.both_sides_agree()
            for task in filter(None, stalled):
                task.age += seconds
                self.database.age(task.key, seconds)
            expected = self.model.requeue_stalled()
            assert self.sql.requeue_stalled_tasks() == expected
            self.both_sides_agree()
            for slug in self.slugs:
                ids = [task.message_id for task in stalled if task and self.model.flow(task).slug == slug]
                self._start_tasks(slug, ids, self.database.workers[0])

    @precondition(lambda self: self.model.runs)
    @rule(data=st.data(), verb=st.sampled_from(["cancel", "resume"]))
    def end_or_resume(self, data: st.DataObject, verb: str) -> None:
        run_ids = data.draw(st.lists(st.sampled_from([*self.model.runs, UUID(int=0)]), min_size=1, max_size=2), "runs")
        expected = getattr(self.model, verb)(run_ids)
        outcomes = getattr(self.database, verb)(run_ids)
        assert outcomes == list(zip(run_ids, expected, strict=True))

    @precondition(lambda self: self.model.runs)
    @rule(data=st.data(), by_force=st.sampled_from([False, False, False, True]))
    def push(self, data: st.DataObject, by_force: bool) -> None:
        """Call what moves a run on although nothing is to be moved; perhaps skip a step first."""
        run = data.draw(st.sampled_from(list(self.model.runs.values())), "run")
        if by_force and run.status == "started":
            state = data.draw(st.sampled_from(list(run.states.values())), "step")
            run.skip(state, "forced", cascade=True)
            run.advance()
            self.database.force_skip(run.run_id, state.step.slug, "forced")
        assert self.database.push(run.run_id) == (run.status != "failed", 0)

    @precondition(lambda self: self.model.tasks("failed"))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        keys = data.draw(st.lists(st.sampled_from([t.key for t in self.model.tasks("failed")]), min_size=1), "failed")
        keys += data.draw(st.lists(st.sampled_from([t.key for t in self.model.tasks()]), max_size=1), "others")
        expected = self.model.retry(keys)
        assert self.database.retry(keys) == list(zip(keys, expected, strict=True))

    @precondition(lambda self: self.model.runs)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """Let all runs that can be resumed come to a good end: no task may be lost for good."""
        worker = self.database.workers[0]
        for _ in range(100):
            if all(run.status == "completed" or run.failed_by_condition() for run in self.model.runs.values()):
                return
            runs = list(self.model.runs)
            assert [outcome for _, outcome in self.database.resume(runs)] == self.model.resume(runs)
            self.both_sides_agree()
            for task in self.model.tasks("started"):
                task.age += 10_000
                self.database.age(task.key, 10_000)
            assert self.sql.requeue_stalled_tasks() == self.model.requeue_stalled()
            self.both_sides_agree()
            self.wait(only_queued=True)
            self._exchange(worker, self.slugs, 100, [])
            self.both_sides_agree()
            reports = [self._draw_report(data, task, outcomes=["completed"]) for task in self._started(worker)]
            self._exchange(worker, self.slugs, 0, reports)
            self.both_sides_agree()
        raise AssertionError(f"The runs do not come to an end: {self.model.runs}")

    # The same on both sides

    @invariant()
    def both_sides_agree(self) -> None:
        self._learn_messages()
        self._compare_runs()
        self._compare_messages()
        self._compare_events()

    def _learn_messages(self) -> dict[TaskKey, Any]:
        """Take over the ids that the queue gave to new messages: new ones, in the order of the task index."""
        rows = {(row.run_id, row.step_slug, row.task_index): row for row in self.database.tasks()}
        last: dict[tuple[UUID, str], int] = {}
        for task in self.model.tasks():
            if task.message_id is None and task.key in rows:
                task.message_id = rows[task.key].message_id
                known = self.known_messages[self.model.flow(task).slug]
                assert task.message_id not in known
                assert task.message_id > last.get(task.key[:2], 0)
                known.add(task.message_id)
                last[task.key[:2]] = task.message_id
        return rows

    def _compare_runs(self) -> None:
        runs = self.model.runs.values()
        assert self.database.runs() == {run.run_id: _run(run) for run in runs}
        states = {(run.run_id, slug): _state(run, state) for run in runs for slug, state in run.states.items()}
        assert self.database.states() == states
        rows = {key: _row(row) for key, row in self._learn_messages().items()}
        assert rows == {task.key: _task(task) for task in self.model.tasks()}
        assert self.database.failed_attempts() == self.model.failed_attempts

    def _compare_messages(self) -> None:
        """A live task has its message in the queue; all others are in the archive."""
        for slug in self.slugs:
            live = {task.message_id: (_message(slug, task), task.visible) for task in self._live(slug)}
            assert self.database.queue(slug) == live
            assert sorted(self.database.archive(slug)) == sorted(self.known_messages[slug] - set(live))

    def _compare_events(self) -> None:
        sent = self.database.events()
        for run in self.model.runs.values():
            events = sent.pop(str(run.run_id), [])
            told = self.told.get(run.run_id, 0)
            new, expected = events[told:], run.events[told:]
            assert sorted(new) == sorted(expected)
            _check_order(run, new)
            self.told[run.run_id] = len(events)
        assert sent == {}

    # Parts of the rules

    def _live(self, slug: str) -> list[Task]:
        return [task for task in self.model.tasks() if task.is_live and self.model.flow(task).slug == slug]

    def _started(self, worker: UUID | None = None) -> list[Task]:
        return [task for task in self.model.tasks("started") if worker in {None, task.worker}]

    def _start_tasks(self, slug: str, ids: Sequence[int | None], worker: UUID) -> None:
        claimed = self.model.claim(slug, ids, worker)
        expected = {task.key: self.model.runs[task.key[0]].task_input(task) for task in claimed}
        assert self.database.start_tasks(slug, ids, worker) == expected

    def _exchange(self, worker: UUID, slugs: Sequence[str], capacity: int, reports: Sequence[Report]) -> None:
        counted = self.model.report(reports, worker)
        claimed, refused = self.database.exchange(worker, slugs, capacity, reports)
        late = [(report.key, report.attempt) for report, counts in zip(reports, counted, strict=True) if not counts]
        assert sorted(refused) == sorted(late)
        self._learn_messages()
        expected: dict[TaskKey, Any] = {}
        for slug in slugs:
            due = sorted((task.message_id or 0, task.key) for task in self._live(slug) if task.visible)[:capacity]
            for task in [task for task in self._live(slug) if (task.message_id, task.key) in due]:
                task.visible = False
            for task in self.model.claim(slug, [message_id for message_id, _ in due], worker):
                tries = self.model.option(task, "max_attempts") + task.forgiven
                task_input = self.model.runs[task.key[0]].task_input(task)
                expected[task.key] = task_input, task.attempts, tries, self.model.option(task, "timeout")
        assert claimed == expected
        self.database.stop_the_clock()

    def _draw_report(
        self, data: st.DataObject, task: Task, *, stale: bool = False, outcomes: Sequence[str] = OUTCOMES
    ) -> Report:
        run_id, slug, index = task.key
        outcome = data.draw(st.sampled_from(outcomes), "outcome")
        attempt = max(1, task.attempts - (data.draw(st.sampled_from([0, 0, 1, -1]), "behind") if stale else 0))
        report = Report(run_id=run_id, step_slug=slug, task_index=index, attempt=attempt, outcome=outcome)
        if outcome == "completed":
            strategy = strategies.outputs(self.model.flow(task), self.model.state(task).step)
            return dataclasses.replace(report, output=data.draw(strategy, "output"))
        if outcome in {"failed", "released"}:
            report = dataclasses.replace(report, delay=data.draw(st.sampled_from([None, 0, strategies.LATER]), "delay"))
        if outcome != "released":
            report = dataclasses.replace(report, error=data.draw(strategies.ERRORS, "error"))
        return report


def _refusal(flow: Flow, value: Any) -> str:
    """Return the error of starting a run, if there is any."""
    try:
        Model().start(flow, UUID(int=1), value)
    except Refused as refused:
        return str(refused)
    return ""


def _message(slug: str, task: Task) -> dict[str, Any]:
    run_id, step_slug, index = task.key
    return {"flow_slug": slug, "run_id": str(run_id), "step_slug": step_slug, "task_index": index}


def _run(run: Run) -> tuple[Any, ...]:
    return run.status, run.output, run.remaining_steps if run.status == "started" else None, run.cancelled


def _state(run: Run, state: State) -> tuple[Any, ...]:
    elements = run.elements(state.step)
    open_tasks = sum(task.status != "completed" for task in state.tasks)
    return (
        state.status,
        state.output,
        state.error,
        state.reason,
        run.remaining_deps(state.step) if state.status == "created" else None,
        len(elements) if elements is not None and state.status in {"created", "started", "completed"} else None,
        open_tasks if state.status in {"started", "completed"} else None,
    )


def _task(task: Task) -> dict[str, Any]:
    return {
        "status": task.status,
        "attempts": task.attempts,
        "forgiven": task.forgiven,
        "requeued": task.requeued,
        "worker": task.worker,
        "output": task.output,
        "error": task.error,
        "message": task.message_id,
    }


def _row(row: Any) -> dict[str, Any]:
    assert (row.completed_at is not None) == (row.status == "completed"), row
    assert (row.failed_at is not None) == (row.status == "failed"), row
    assert row.status != "queued" or row.started_at is None, row
    return {
        "status": row.status,
        "attempts": row.attempts_count,
        "forgiven": row.forgiven_count,
        "requeued": row.requeued_count,
        "worker": row.last_worker_id,
        "output": ABSENT if row.is_absent else row.output,
        "error": short(row.error_message),
        "message": row.message_id,
    }


def _check_order(run: Run, events: list[str]) -> None:
    """Within a call a run's start is told first and its end last, and the end of a step before what follows from it."""
    assert "run:started" not in events[1:]
    assert not {"run:completed", "run:failed"} & set(events[:-1])
    for step in run.flow.steps:
        told = [n for n, event in enumerate(events) if event.startswith(f"step:{step.slug}:")]
        ends = {f"step:{dep}:{end}" for dep in step.deps for end in ("completed", "skipped")}
        ended = [n for n, event in enumerate(events) if event in ends]
        if told and ended:
            # One parent is enough to drag a step along in a cascade.
            dragged = run.states[step.slug].reason == "dependency_skipped"
            assert (min(ended) if dragged else max(ended)) < told[0], (step.slug, events)


@pytest.mark.timeout(0 if PROFILE == "deep" else 600)
def test_the_core_does_what_the_model_does(connection_parameters: dict[str, Any]) -> None:
    with psycopg.connect(**connection_parameters, row_factory=namedtuple_row) as connection:
        try:
            run_state_machine_as_test(
                type("MachineOnTheTestDatabase", (Machine,), {"sql": Sql(connection)}), settings=PROFILES[PROFILE]
            )
        finally:
            connection.rollback()
