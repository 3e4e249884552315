"""``poll_for_tasks``: deprecated, does nothing."""

from __future__ import annotations

from psycopg.errors import Diagnostic

from tests.fixtures.sql import Sql


def test_it_says_that_it_is_deprecated_and_touches_no_queue(sql: Sql) -> None:
    sql.define("flow", "a")
    sql.start("flow", {})
    notices: list[str] = []

    def note(diagnostic: Diagnostic) -> None:
        notices.append(diagnostic.message_primary or "")

    sql.connection.add_notice_handler(note)
    assert sql.call("pgflow.poll_for_tasks", queue_name="flow", vt=5, qty=10) == []
    (notice,) = notices
    assert notice.startswith("DEPRECATED: poll_for_tasks is deprecated and will be removed.")
    (message,) = sql.queued_messages("flow")
    assert message.read_ct == 0


def test_a_queue_need_not_exist(sql: Sql) -> None:
    assert sql.call("pgflow.poll_for_tasks", queue_name="nowhere", vt=5, qty=10, max_poll_seconds=60) == []
