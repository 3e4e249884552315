"""Limits for all workers are written like other options: at any time, whatever runs there are."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_pgflow import Flow, compiler
from tests.integration.compiler.conftest import rows

pytestmark = pytest.mark.django_db


def declare(**options: Any) -> Flow:
    """Declare the flow anew, with other options of its step."""
    from django_pgflow import registry

    registry.unregister("shop")
    flow = Flow("shop")
    flow.step(_pay, slug="pay", **options)
    return flow


def _pay() -> None: ...


def sync(flow: Flow) -> compiler.Report:
    return compiler.sync({flow.slug: flow}, using="default", verbosity=0)


def stored() -> list[tuple[Any, ...]]:
    return rows("select step_slug, max_count, key_path from django_pgflow.concurrency_limits where flow_slug = 'shop'")


def test_a_limit_is_written_with_its_flow_and_reads_back_the_same() -> None:
    flow = declare(concurrency_limit=3, concurrency_key="customer.id")
    assert sync(flow).created == ["shop"]
    assert stored() == [("pay", 3, ["customer", "id"])]
    assert sync(flow).unchanged == ["shop"]
    assert compiler.differences({"shop": flow}, using="default") == {}


def test_without_a_key_the_path_is_empty() -> None:
    flow = declare(concurrency_limit=3)
    sync(flow)
    assert stored() == [("pay", 3, [])]
    assert sync(flow).unchanged == ["shop"]


def test_a_change_is_a_change_of_options_although_there_are_runs() -> None:
    sync(declare(concurrency_limit=3))
    rows("select run_id from pgflow.start_flow('shop', '{}')")
    flow = declare(concurrency_limit=2, concurrency_key="customer")
    assert compiler.differences({"shop": flow}, using="default", options=False) == {}
    assert sync(flow).updated == {
        "shop": (
            "concurrency_limit of step 'pay': 2 in the code, 3 in the database",
            "concurrency_key of step 'pay': customer in the code, unset in the database",
        )
    }
    assert stored() == [("pay", 2, ["customer"])]
    sync(declare())
    assert stored() == []


def test_pgflow_sync_shows_the_difference() -> None:
    sync(declare())
    declare(concurrency_limit=2)
    written = StringIO()
    with pytest.raises(CommandError, match="differs from the code in 1 flow: shop"):
        call_command("pgflow_sync", "--check", stdout=written)
    assert "concurrency_limit of step 'pay': 2 in the code, unset in the database" in written.getvalue()


def test_a_flow_that_is_created_anew_has_the_limits_of_the_code() -> None:
    sync(declare(concurrency_limit=3))
    flow = declare(concurrency_limit=1)
    flow.step(_pay, slug="other", concurrency_limit=5)
    assert list(sync(flow).recreated) == ["shop"]
    assert sorted(stored()) == [("other", 5, []), ("pay", 1, [])]
