"""What tests of limits look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fixtures.sql import Sql


def limit(sql: Sql, max_count: int | None, *key_path: str, flow: str = "flow", step: str = "each") -> None:
    """Set the limit of a step."""
    sql.call(
        "django_pgflow.set_concurrency_limit",
        flow_slug=flow,
        step_slug=step,
        max_count=max_count,
        key_path=list(key_path),
    )


def wake(sql: Sql) -> None:
    """Do what workers do about four times a second."""
    sql.rows("select django_pgflow.wake_limited_tasks()")


def indexes(tasks: Sequence[Any]) -> list[int]:
    """Return the indexes of claimed tasks."""
    return [task.task_index for task in tasks if task.kind == "claimed"]


def noted(sql: Sql) -> dict[str, int]:
    """Count the rows of limited tasks."""
    rows = sql.rows("select is_admitted, count(*) from django_pgflow.limited_tasks group by 1")
    return {"admitted" if row.is_admitted else "waiting": row.count for row in rows}
