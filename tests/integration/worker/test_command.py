"""The command: what it says to a wrong call."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from django_pgflow import registry


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_flow"], "No flow is registered as 'no_such_flow'. Registered: .*greet"),
        (["--concurrency", "0"], "concurrency must be at least 1, not 0"),
        (["--poll-interval", "0"], "poll_interval must be more than 0"),
        (["--grace", "-1"], "grace must be at least 0"),
        (["--database", "other"], "There is no database 'other'. Choose one of DATABASES: default"),
    ],
)
def test_wrong_calls_are_explained(transactional_db, arguments, message):
    with pytest.raises(CommandError, match=message):
        call_command("runpgflowworker", *arguments)


def test_no_flows_at_all(transactional_db, monkeypatch):
    # Undone before the database is flushed, which keeps the flows that the code has.
    with monkeypatch.context() as patch:
        patch.setattr(registry, "_flows", {})
        with pytest.raises(CommandError, match=r"There are no flows. Declare one in the flows\.py"):
            call_command("runpgflowworker")
