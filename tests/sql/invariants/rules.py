"""Random flows, and the rules that their runs keep."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.fixtures.sql import Sql


@dataclass(frozen=True, kw_only=True)
class RandomFlow:
    """A flow of single and map steps; parents of a step always come before it."""

    slug: str
    parents: dict[str, list[str]]
    maps: set[str]

    @classmethod
    def make(cls, chance: random.Random, slug: str) -> RandomFlow:
        """Make a flow of two to seven steps."""
        parents: dict[str, list[str]] = {}
        maps: set[str] = set()
        for n in range(chance.randint(2, 7)):
            step = f"s{n}"
            if chance.random() < 0.4:
                maps.add(step)
                parents[step] = chance.sample(list(parents), k=min(len(parents), chance.randint(0, 1)))
            else:
                parents[step] = chance.sample(list(parents), k=min(len(parents), chance.randint(0, 3)))
        return cls(slug=slug, parents=parents, maps=maps)

    def define(self, sql: Sql, **options: Any) -> None:
        """Put the flow into the database."""
        steps = (
            f"{step}{'[]' if step in self.maps else ''} < {' '.join(parents)}" for step, parents in self.parents.items()
        )
        sql.define(self.slug, *steps, **options)

    def children(self, step: str) -> list[str]:
        """Return the steps that depend on a step."""
        return [child for child, parents in self.parents.items() if step in parents]

    @property
    def leaves(self) -> set[str]:
        """Return the steps that no other depends on."""
        return {step for step in self.parents if not self.children(step)}

    def output(self, step: str, task_input: Any) -> Any:
        """Return what the handler of a step makes of its input: the same for the same input, an array before a map."""
        size = len(str(task_input))
        if step not in self.maps and any(child in self.maps for child in self.children(step)):
            return [f"{step} {size} {n}" for n in range(size % 4)]
        return {step: size % 7}


def check(sql: Sql, flow: RandomFlow) -> Counter[str]:
    """Compare all runs of a flow with the rules; return how many runs are in each status."""
    runs = sql.rows("select * from pgflow.runs where flow_slug = %(slug)s", slug=flow.slug)
    messages = {message.msg_id: message.message for message in sql.queued_messages(flow.slug)}
    for run in runs:
        steps = sql.steps(run.run_id)
        tasks = sql.rows("select * from pgflow.step_tasks where run_id = %(id)s order by task_index", id=run.run_id)
        _check_run(flow, run, steps)
        for step in steps.values():
            _check_step(flow, run, steps, step, [task for task in tasks if task.step_slug == step.step_slug])
        for task in tasks:
            _check_task(run, task, messages)
    # All that is left are messages that stand for no live task.
    assert messages == {}
    return Counter(run.status for run in runs)


def _check_run(flow: RandomFlow, run: Any, steps: dict[str, Any]) -> None:
    statuses = Counter(step.status for step in steps.values())
    assert set(steps) == set(flow.parents)
    if run.status == "started":
        assert run.remaining_steps == len(steps) - statuses["completed"] > 0
        assert set(statuses) <= {"created", "started", "completed"}
        assert (run.completed_at, run.failed_at, run.output) == (None, None, None)
    elif run.status == "completed":
        assert set(statuses) == {"completed"}
        assert (run.remaining_steps, set(run.output)) == (0, flow.leaves)
        assert run.output == {leaf: steps[leaf].output for leaf in flow.leaves}
    else:
        assert statuses["failed"] >= 1
        assert statuses["started"] == 0
        assert run.failed_at is not None


def _check_step(flow: RandomFlow, run: Any, steps: dict[str, Any], step: Any, tasks: list[Any]) -> None:
    statuses = Counter(task.status for task in tasks)
    assert [task.task_index for task in tasks] == list(range(len(tasks)))
    if step.status == "created":
        waiting_for = [parent for parent in flow.parents[step.step_slug] if steps[parent].status != "completed"]
        assert (step.remaining_deps, tasks) == (len(waiting_for), [])
        # A step that waits for nothing has been started, unless its run has failed.
        assert waiting_for or run.status == "failed"
    elif step.status == "started":
        assert len(tasks) == step.initial_tasks > 0
        assert step.remaining_tasks == step.initial_tasks - statuses["completed"] > 0
        assert set(statuses) <= {"queued", "started", "completed"}
    elif step.status == "completed":
        assert (len(tasks), step.remaining_tasks) == (step.initial_tasks, 0)
        assert set(statuses) <= {"completed"}
        outputs = [task.output for task in tasks]
        assert step.output == (outputs if step.step_slug in flow.maps else outputs[0])
        for child in flow.children(step.step_slug):
            if child in flow.maps:
                assert steps[child].initial_tasks == len(step.output)
    elif step.status == "skipped":
        assert (run.status, step.skip_reason, step.remaining_tasks) == ("failed", "run_failed", None)
        assert set(statuses) <= {"completed", "cancelled"}
    else:
        assert run.status == "failed"
        assert statuses["failed"] >= 1
        assert set(statuses) <= {"completed", "cancelled", "failed"}


def _check_task(run: Any, task: Any, messages: dict[int, Any]) -> None:
    message = messages.pop(task.message_id, None)
    if task.status in {"queued", "started"}:
        assert run.status == "started"
        assert message == {
            "flow_slug": task.flow_slug,
            "run_id": str(task.run_id),
            "step_slug": task.step_slug,
            "task_index": task.task_index,
        }
    else:
        assert message is None
    assert (task.completed_at is not None) == (task.status == "completed")
    assert (task.failed_at is not None) == (task.status == "failed")
    assert task.status != "started" or (task.started_at is not None and task.attempts_count > 0)
    assert task.status != "queued" or task.started_at is None


def failed_tasks(sql: Sql, flow: RandomFlow) -> list[tuple[UUID, str, int]]:
    """Return the failed tasks of a flow."""
    rows = sql.rows(
        "select run_id, step_slug, task_index from pgflow.step_tasks where flow_slug = %(slug)s and status = 'failed'",
        slug=flow.slug,
    )
    return [tuple(row) for row in rows]


def finish(sql: Sql, flow: RandomFlow) -> None:
    """Retry what has failed and execute all tasks, well."""
    for _ in range(100):
        if failed := failed_tasks(sql, flow):
            assert set(sql.retry(*failed)) == {"queued"}
        sql.rows(
            "update pgflow.step_tasks set queued_at = queued_at - interval '1 day', "
            "started_at = started_at - interval '1 day', requeued_count = 0 "
            "where flow_slug = %(slug)s and status = 'started'",
            slug=flow.slug,
        )
        sql.requeue_stalled_tasks()
        sql.hurry(flow.slug)
        tasks = sql.claim(flow.slug)
        for task in tasks:
            sql.complete(task, flow.output(task.step_slug, task.input))
        if not tasks and not failed:
            return
    raise AssertionError(f"The runs of {flow.slug} do not come to an end.")
