"""What the machine once found, as examples of their own, so that it is found again at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.sql import Sql
from tests.model.database import Database
from tests.model.values import Flow, Report, Step


def report(task: Any, outcome: str) -> Report:
    """Report on the first attempt of a task."""
    error = None if outcome == "completed" else outcome
    return Report(run_id=task[0], step_slug=task[1], task_index=task[2], attempt=1, outcome=outcome, error=error)


@pytest.mark.parametrize("outcomes", [["exhausted", "skipped"], ["failed", "skipped"]])
def test_a_task_that_was_skipped_in_the_call_that_failed_its_step_is_queued_when_the_run_is_resumed(
    sql: Sql, outcomes: list[str]
) -> None:
    flow = Flow(slug="one", steps=(Step(slug="each", is_map=True),), max_attempts=1)
    database = Database(sql, [flow])
    run = sql.start("one", [1, 2])
    worker = database.workers[0]
    claimed, _ = database.exchange(worker, ["one"], 10, [])
    reports = [report(task, outcome) for task, outcome in zip(sorted(claimed), outcomes, strict=True)]
    database.exchange(worker, ["one"], 0, reports)
    assert sql.run(run.run_id).status == "failed"
    assert database.resume([run.run_id]) == [(run.run_id, "resumed")]
    # Else the step waits for ever for a task that nobody can do.
    assert sql.task_statuses(run.run_id, "each") == ["queued", "queued"]
