"""Handlers: what they get, what becomes of what they return or raise."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from tests.fixtures.worker import eventually, query
from tests.integration.worker.conftest import ended, task_rows
from tests.testapp import flows

FALSY = {"nothing": None, "zero": 0, "no": False, "text": "", "empty": []}


@pytest.mark.parametrize(
    ("flow", "value", "expected"),
    [
        (flows.greet, {"name": "Ada"}, {"hello": "Hello, Ada!"}),
        (flows.chain, {"number": 4}, {"third": 50}),
        (flows.diamond, {"number": 4}, {"bottom": {"left": 5, "right": 3}}),
        (flows.fan_out, {"count": 4}, {"total": 14}),
        (flows.fan_out, {"count": 0}, {"total": 0}),
        (flows.coroutines, {}, {"shout": ["A", "B", "C"]}),
        (flows.root_map, [1, 2], {"double": [{"double": 2, "of": 2}, {"double": 4, "of": 2}]}),
        (flows.root_map, [], {"double": []}),
    ],
    ids=lambda value: getattr(value, "slug", None),
)
def test_flows_run_to_their_end(run_worker, flow, value, expected):
    run = flow.start(value)
    run_worker(flow, until_idle=True)
    run = ended(run)
    assert (run.status, run.output) == ("completed", expected)


def test_falsy_outputs_are_kept(make_flow, run_worker):
    flow = make_flow(*(_returning(name, value) for name, value in FALSY.items()))
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).output == FALSY


def _returning(name, value):
    def handler():
        return value

    return _named(name, handler)


def _named(name, function):
    function.__name__ = name
    return function


def _raise_value_error():
    raise ValueError("no such customer")


def _raise_system_exit():
    raise SystemExit(3)


async def _raise_keyboard_interrupt():
    raise KeyboardInterrupt


async def _raise_cancelled():
    raise asyncio.CancelledError


async def _raise_timeout():
    raise TimeoutError("the other side is slow")


def _raise_nul():
    raise ValueError("a\x00b")


def _return_object():
    return {"lines": [object()]}


def _return_nan():
    return {"price": float("nan")}


def _return_nul():
    return ["\x00"]


def _return_surrogate():
    return "\ud800"


def _leave_transaction_open():
    connection.ensure_connection()
    connection.connection.execute("begin")
    connection.connection.execute("create table never (id int)")


def _leave_transaction_aborted():
    transaction.atomic().__enter__()
    with connection.cursor() as cursor:
        cursor.execute("select 1/0")


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (_raise_value_error, "ValueError: no such customer"),
        (_raise_system_exit, "SystemExit: 3"),
        (_raise_keyboard_interrupt, "KeyboardInterrupt"),
        (_raise_cancelled, "CancelledError"),
        (_raise_timeout, "TimeoutError: the other side is slow"),
        (_raise_nul, "ValueError: ab"),
        (_return_object, "NotSerializable: The value at $.lines[0] "),
        (_return_nan, "NotSerializable: The value at $.price "),
        (_return_nul, "NotSerializable: The value at $[0] "),
        (_return_surrogate, "NotSerializable: "),
        (_leave_transaction_open, "RuntimeError: The handler left a transaction open on database default"),
        (_leave_transaction_aborted, "DataError: division by zero"),
    ],
)
def test_failures_are_told_and_the_worker_lives(make_flow, run_worker, handler, message):
    flow = make_flow(_named("probe", handler))
    run = flow.start()
    run_worker(flow, flows.greet)
    assert ended(run).status == "failed"
    ((_, _, status, attempts, error),) = task_rows(run)
    assert (status, attempts) == ("failed", 1)
    assert error.startswith(message)
    assert ended(flows.greet.start()).status == "completed"


def test_failed_tasks_are_retried_with_the_true_attempt(make_flow, run_worker):
    seen = []

    def probe(ctx):
        seen.append((ctx.attempt, ctx.max_attempts, ctx.is_last_attempt))
        if ctx.attempt < 3:
            raise ConnectionError("try again")
        return ctx.idempotency_key

    flow = make_flow(probe, max_attempts=3)
    run = flow.start()
    run_worker(flow, until_idle=True)
    run = ended(run)
    assert run.output == {"probe": f"{run.pk}:probe:0"}
    assert seen == [(1, 3, False), (2, 3, False), (3, 3, True)]


def limited(flow):
    """Let each attempt take one second; the code may not declare less than three."""
    query("update pgflow.steps set opt_timeout = 1 where flow_slug = %s", flow.slug)
    return flow


def test_a_hanging_def_handler_times_out_and_gives_its_slot_back(make_flow, run_worker):
    release = threading.Event()

    def each_probe(number):
        if number == 0:
            release.wait(30)
        return number

    flow = limited(make_flow(each_probe))
    quick = make_flow(_returning("quick", 1), slug="quick")
    run = flow.start([0])
    worker = run_worker(flow, quick, concurrency=1)
    assert ended(run).status == "failed"
    assert task_rows(run)[0][2:] == ("failed", 1, "TimeoutError: timed out after 1 s")
    assert ended(quick.start()).status == "completed"
    assert worker._slots.leftovers == 1
    release.set()
    eventually(lambda: worker._slots.leftovers == 0, "the late handler's end")
    assert task_rows(run)[0][2] == "failed"


def test_a_coroutine_is_cancelled_at_its_timeout(make_flow, run_worker):
    seen = []

    async def probe():
        try:
            await asyncio.sleep(30)
        finally:
            seen.append("cleaned up")

    flow = limited(make_flow(probe))
    run = flow.start()
    run_worker(flow)
    assert ended(run).status == "failed"
    assert task_rows(run)[0][4] == "TimeoutError: timed out after 1 s"
    assert seen == ["cleaned up"]


def test_a_coroutine_that_ignores_its_cancellation_is_given_up(make_flow, run_worker):
    async def probe():
        end = time.monotonic() + 8
        while time.monotonic() < end:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.5)

    flow = limited(make_flow(probe))
    run = flow.start()
    run_worker(flow, concurrency=1)
    assert ended(run).status == "failed"
    assert task_rows(run)[0][4] == "TimeoutError: timed out after 1 s"


def test_handlers_of_both_kinds_use_the_orm(make_flow, run_worker):
    User = get_user_model()

    def writes():
        return User.objects.create(username="sync").pk is not None

    async def awrites():
        return (await User.objects.acreate(username="async")).pk is not None

    flow = make_flow(writes, awrites)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).output == {"writes": True, "awrites": True}
    assert set(User.objects.values_list("username", flat=True)) == {"sync", "async"}


def test_no_connection_is_left_behind(make_flow, run_worker):
    def each_probe(number):
        with connection.cursor() as cursor:
            cursor.execute("select pg_backend_pid()")
            return cursor.fetchone()[0]

    flow = make_flow(each_probe)
    run = flow.start(list(range(20)))
    run_worker(flow, until_idle=True)
    pids = ended(run).output["each_probe"]
    eventually(
        lambda: (
            query(
                "select count(*) from pg_stat_activity where pid = any(%s) or application_name like 'django-pgflow%%'",
                pids,
            )
            == [(0,)]
        ),
        "the end of all connections",
    )


def test_context_variables_and_translations_do_not_leak(make_flow, run_worker):
    from django.utils import translation

    def each_probe(number):
        before = translation.get_language()
        translation.activate("fi")
        return before

    flow = make_flow(each_probe)
    run = flow.start(list(range(4)))
    run_worker(flow, concurrency=1, until_idle=True)
    assert set(ended(run).output["each_probe"]) == {"en-us"}
