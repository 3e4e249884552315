"""Users, and runs in every state."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from django_pgflow import models
from tests import factories
from tests.fixtures import driving

HOSTILE = '<script>alert("x")</script>\'"><img src=x onerror=alert(1)>&amp;'


def fail_at(*slugs: str) -> driving.Answer:
    """Return an answer that fails the tasks of these steps."""

    def answer(task: Any) -> Any:
        if task.step_slug in slugs:
            raise driving.Failure(f"{task.step_slug} has no stock\nTraceback of it")
        return [10, 20, 30] if task.step_slug == "load" else {"done": task.step_slug}

    return answer


@pytest.fixture
def staff(db: None) -> Any:
    """Return a function that logs a member of staff in who has these permissions of the app ``pgflow``."""

    def login(*codenames: str) -> Client:
        user = factories.StaffFactory(permissions=codenames)
        client = Client()
        client.force_login(user)
        client.user = user  # type: ignore[attr-defined]
        return client

    return login


@pytest.fixture
def runs(db: None) -> SimpleNamespace:
    """A completed, a failed and a started run of the flow ``orders``."""
    driving.define("orders", "load", "lines[] < load", "total < lines")
    (completed,) = driving.start("orders", {"order": 1})
    worker_id = driving.work("orders", fail_at(), name="shop:7")
    (failed,) = driving.start("orders", {"order": 2})
    driving.work("orders", fail_at("total"), name="shop:8")
    (started,) = driving.start("orders", {"order": 3})
    with connection.cursor() as cursor:
        # In one transaction all begin at the same moment.
        for minutes, run in enumerate([started, failed, completed]):
            cursor.execute(
                "update pgflow.runs set started_at = started_at - make_interval(mins => %s) where run_id = %s",
                [minutes, run.run_id],
            )
    return SimpleNamespace(
        **{
            name: models.Run.objects.get(pk=run.pk)
            for name, run in {"completed": completed, "failed": failed, "started": started}.items()
        },
        worker_id=worker_id,
    )
