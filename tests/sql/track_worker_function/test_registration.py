"""``track_worker_function``: notes that a function is to be kept alive."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.fixtures.sql import Sql


def track(sql: Sql, name: str) -> Any:
    """Call the function and return its row."""
    sql.call("pgflow.track_worker_function", function_name=name)
    return sql.row("select * from pgflow.worker_functions where function_name = %(name)s", name=name)


def test_a_function_is_registered_enabled(sql: Sql) -> None:
    row = track(sql, "my-function")
    assert (row.enabled, row.debounce, row.last_invoked_at) == (True, timedelta(seconds=6), None)


def test_several_functions_can_be_registered(sql: Sql) -> None:
    assert track(sql, "one") != track(sql, "two")


def test_registering_again_moves_only_its_update(sql: Sql) -> None:
    track(sql, "one")
    sql.rows(
        "update pgflow.worker_functions set enabled = false, debounce = '9 seconds', last_invoked_at = 'epoch', "
        "updated_at = 'epoch' where function_name = 'one'"
    )
    before = sql.row("select * from pgflow.worker_functions where function_name = 'one'")
    after = track(sql, "one")
    assert after.updated_at > before.updated_at
    assert after._replace(updated_at=None) == before._replace(updated_at=None)
