"""Django's flush, and so TransactionTestCase, leaves no rows of pgflow behind."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import TransactionTestCase

from django_pgflow import models, registry
from tests.fixtures import driving
from tests.testapp import flows


def rows_left() -> dict[str, int]:
    """Count the rows of all tables of runs, tasks and workers, and of all queues and archives."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select c.oid::regclass::text from pg_class c
            where c.relkind = 'r' and (
              c.relnamespace = 'pgflow'::regnamespace and c.relname not in ('flows', 'steps', 'deps')
              or c.relnamespace = 'django_pgflow'::regnamespace
              or c.relnamespace = 'pgmq'::regnamespace and c.relname ~ '^[qa]_'
            )
            """
        )
        tables = [row[0] for row in cursor.fetchall()]
        counts = {}
        for table in tables:
            cursor.execute(f"select count(*) from {table}")
            counts[table] = cursor.fetchone()[0]
    return {table: count for table, count in counts.items() if count}


def leave_traces() -> None:
    driving.define("made_by_a_test", "a")
    driving.start("made_by_a_test")
    flows.chain.start()
    driving.work("chain", lambda task: 1)
    flows.greet.start()
    assert len(rows_left()) > 5


@pytest.mark.django_db(transaction=True)
def test_flush_empties_everything_and_keeps_the_flows_of_the_code() -> None:
    leave_traces()
    call_command("flush", interactive=False, verbosity=0)
    assert rows_left() == {}
    assert set(models.Flow.objects.values_list("flow_slug", flat=True)) == set(registry.all_flows())
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass('pgmq.q_made_by_a_test')")
        assert cursor.fetchone()[0] is None
    assert flows.greet.start().status == "started"


@pytest.mark.django_db(transaction=True)
def test_flush_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    flows.greet.start()
    monkeypatch.setattr("builtins.input", lambda question: "no")
    out = io.StringIO()
    call_command("flush", stdout=out)
    assert "cancelled" in out.getvalue()
    assert models.Run.objects.count() == 1


class TestTransactionTestCase(TransactionTestCase):
    """Two tests that would see each other's rows."""

    def test_one(self) -> None:
        assert rows_left() == {}
        leave_traces()

    def test_other(self) -> None:
        assert rows_left() == {}
        leave_traces()
