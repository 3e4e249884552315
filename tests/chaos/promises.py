"""What must hold when all is over, asked of the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection

from tests.chaos import answers

ATOMIC_STEPS = "(values ('third'), ('right'), ('halve'), ('big'))"


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A promise and what became of it.

    Attributes:
        text: What was promised.
        found: What was found, in figures.
        broken: Lines that show where it was broken; none if it was kept.
    """

    text: str
    found: str
    broken: list[str] = field(default_factory=list)


def rows(sql: str) -> list[tuple[Any, ...]]:
    """Execute a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def check(committed: set[UUID]) -> Iterator[Promise]:
    """Yield each promise.

    Args:
        committed: Runs whose commit was confirmed to the one who started them.
    """
    yield _starts(committed)
    yield _runs()
    yield _outputs()
    yield _effects()
    yield _effects_once()
    yield _atomic_effects()
    yield _attempts()
    yield _messages()
    yield _open_tasks()
    yield _poison()


def _starts(committed: set[UUID]) -> Promise:
    starts = {row[0] for row in rows("select run_id from chaos.starts")}
    rollbacks = {row[0] for row in rows("select run_id from chaos.rollbacks")}
    runs = {row[0] for row in rows("select run_id from pgflow.runs")}
    return Promise(
        text="a run exists if and only if the transaction that started it committed",
        found=f"{len(starts):,} starts committed, {len(rollbacks):,} rolled back; {len(runs):,} runs",
        broken=[
            *(f"run {run_id} has no start" for run_id in runs - starts),
            *(f"start {run_id} has no run" for run_id in starts - runs),
            *(f"run {run_id} was rolled back, and is there" for run_id in runs & rollbacks),
            *(f"run {run_id} was confirmed, and is not there" for run_id in committed - runs),
        ],
    )


def _runs() -> Promise:
    found = rows(
        "select r.flow_slug, r.run_id, r.status, (select string_agg(concat(t.step_slug, '[', t.task_index, '] ', "
        "t.status, ' attempt ', t.attempts_count, ' requeued ', t.requeued_count, ' ', t.error_message), '; ') "
        "from pgflow.step_tasks t where t.run_id = r.run_id and t.status in ('queued', 'started', 'failed') "
        "and t.step_slug <> 'hopeless') from pgflow.runs r"
    )
    return Promise(
        text="each run ended well",
        found=f"{sum(row[2] == 'completed' for row in found):,} of {len(found):,}",
        broken=[f"{slug} {run_id} is {status}: {why}" for slug, run_id, status, why in found if status != "completed"],
    )


def _outputs() -> Promise:
    broken = []
    found = rows(
        "select r.flow_slug, r.run_id, s.input::text, r.output::text from chaos.starts s "
        "join pgflow.runs r on r.run_id = s.run_id where r.status = 'completed'"
    )
    for slug, run_id, value, output in found:
        expected = answers.answer(slug, json.loads(value))
        if json.loads(output) != expected:
            broken.append(f"{slug} {run_id} gave {output}, expected {json.dumps(expected)}")
    return Promise(
        text="each output is the one that its input gives",
        found=f"{len(found) - len(broken):,} of {len(found):,}",
        broken=broken,
    )


def _effects() -> Promise:
    # Completed by an attempt whose effect is there: handlers write first, and what they write is committed at once.
    missing = rows(
        "select t.flow_slug, t.run_id, t.step_slug, t.task_index, t.attempts_count from pgflow.step_tasks t "
        f"where t.status = 'completed' and t.step_slug not in (select * from {ATOMIC_STEPS} as atomic) "
        "and not exists (select from chaos.effects e where e.run_id = t.run_id and e.step_slug = t.step_slug "
        "and e.task_index = t.task_index and e.attempt = t.attempts_count)"
    )
    ((count, again),) = rows(
        "select count(distinct (run_id, step_slug, task_index)), "
        "count(*) - count(distinct (run_id, step_slug, task_index)) from chaos.effects"
    )
    return Promise(
        text="plain effects at least once",
        found=f"of {count:,} tasks; {again:,} more by further attempts",
        broken=[
            f"no effect of {slug} {run_id} {step}[{index}] attempt {n}" for slug, run_id, step, index, n in missing
        ],
    )


def _effects_once() -> Promise:
    twice = rows(
        "select run_id, step_slug, task_index, attempt, count(*), array_agg(pid) from chaos.effects "
        "group by run_id, step_slug, task_index, attempt having count(*) > 1"
    )
    ((count,),) = rows("select count(*) from chaos.effects")
    return Promise(
        text="plain effects at most once an attempt",
        found=f"{count:,} attempts, {len(twice):,} with more than one",
        broken=[
            f"{n} effects of {run_id} {step}[{index}] attempt {a} by {p}" for run_id, step, index, a, n, p in twice
        ],
    )


def _atomic_effects() -> Promise:
    wrong = rows(
        "select t.flow_slug, t.run_id, t.step_slug, t.task_index, t.status, count(e.run_id), array_agg(e.attempt) "
        "from pgflow.step_tasks t left join chaos.atomic_effects e on e.run_id = t.run_id "
        "and e.step_slug = t.step_slug and e.task_index = t.task_index "
        f"where t.step_slug in (select * from {ATOMIC_STEPS} as atomic) group by 1, 2, 3, 4, 5 "
        "having count(e.run_id) <> case when t.status = 'completed' then 1 else 0 end"
    )
    ((count,),) = rows("select count(*) from chaos.atomic_effects")
    return Promise(
        text="atomic effects exactly once",
        found=f"{count:,} effects, {len(wrong):,} tasks with another number than 1",
        broken=[
            f"{count} atomic effects of {slug} {run_id} {step}[{index}], {status}, attempts {attempts}"
            for slug, run_id, step, index, status, count, attempts in wrong
        ],
    )


def _attempts() -> Promise:
    wrong = rows(
        "select t.flow_slug, t.run_id, t.step_slug, t.task_index, t.attempts_count, t.forgiven_count, count(a.attempt) "
        "from pgflow.step_tasks t left join django_pgflow.failed_attempts a on a.run_id = t.run_id "
        "and a.step_slug = t.step_slug and a.task_index = t.task_index where t.status in ('completed', 'failed') "
        "group by t.run_id, t.step_slug, t.task_index "
        "having t.attempts_count - t.forgiven_count <> count(a.attempt) + (t.status = 'completed')::integer"
    )
    ((again,),) = rows("select sum(forgiven_count) from pgflow.step_tasks")
    return Promise(
        text="interrupted is not failed: no attempt is counted but those that completed or failed",
        found=f"{again:,} attempts not counted, {len(wrong):,} tasks with others",
        broken=[
            f"{slug} {run_id} {step}[{index}]: {attempts} attempts, {forgiven} not counted, {failed} failed"
            for slug, run_id, step, index, attempts, forgiven, failed in wrong
        ],
    )


def _messages() -> Promise:
    left = {slug: rows(f"select msg_id, read_ct, vt, message::text from pgmq.q_{slug}") for slug in answers.WEIGHTS}
    return Promise(
        text="no message left in a queue",
        found=f"{sum(map(len, left.values())):,} left",
        broken=[f"queue {slug} has {message}" for slug, messages in left.items() for message in messages],
    )


def _open_tasks() -> Promise:
    tasks = rows(
        "select flow_slug, run_id, step_slug, task_index, status, attempts_count, last_worker_id, started_at "
        "from pgflow.step_tasks where status in ('queued', 'started')"
    )
    steps = rows(
        "select flow_slug, run_id, step_slug, status from pgflow.step_states where status in ('created', 'started')"
    )
    return Promise(
        text="no task left queued or started, no step left open",
        found=f"{len(tasks):,} tasks, {len(steps):,} steps",
        broken=[" ".join(map(str, row)) for row in (*tasks, *steps)],
    )


def _poison() -> Promise:
    poisoned = rows(
        "select flow_slug, run_id, step_slug, task_index, requeued_count from pgflow.step_tasks "
        "where permanently_stalled_at is not null"
    )
    return Promise(
        text="no task failed for having killed its workers",
        found=f"{len(poisoned):,}",
        broken=[" ".join(map(str, row)) for row in poisoned],
    )


def figures() -> dict[str, str]:
    """Return what else the database knows."""
    ((tasks, attempts, requeued, most),) = rows(
        "select count(*), sum(attempts_count), sum(requeued_count), max(requeued_count) "
        "from pgflow.step_tasks where status in ('completed', 'failed', 'skipped')"
    )
    ((failed,),) = rows("select count(*) from django_pgflow.failed_attempts")
    return {
        "tasks ended": f"{tasks:,}, by {attempts:,} attempts, of which {failed:,} failed",
        "tasks given back because their worker fell silent": f"{requeued:,}, one task at most {most} times",
    }
