"""What a handler learns by ``ctx``, and what it asks of the worker."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from django_pgflow import exceptions, get_context, models
from tests.fixtures.worker import eventually, query
from tests.integration.worker.conftest import ended, task_rows

SHORT = "update pgflow.steps set opt_timeout = 1 where flow_slug = %s"


def progress(run):
    return list(run.task_progress.values_list("attempt", "done", "total", "text"))


def failed_attempts(run):
    return query("select error_message from django_pgflow.failed_attempts where run_id = %s", run.pk)


# -- values


def test_worker_and_message_are_named(make_flow, run_worker):
    def probe(ctx):
        assert (ctx.worker.host, ctx.worker.pid) == (socket.gethostname(), os.getpid())
        return [str(ctx.worker.id), ctx.worker.name, ctx.message.queue, ctx.message.msg_id]

    flow = make_flow(probe)
    run = flow.start()
    worker = run_worker(flow, until_idle=True)
    ((name,),) = query("select function_name from pgflow.workers where worker_id = %s", worker.id)
    ((msg_id,),) = query("select message_id from pgflow.step_tasks where run_id = %s", run.pk)
    assert ended(run).output == {"probe": [str(worker.id), name, "probe", msg_id]}


def test_the_run_its_input_and_its_notes_are_at_hand(make_flow, run_worker):
    def single(ctx):
        assert ctx.run is ctx.run
        return [ctx.flow_input, ctx.meta, ctx.run.flow_slug, str(ctx.run.pk)]

    async def coroutine(ctx):
        run = await ctx.arun()
        return [await ctx.aflow_input(), await ctx.ameta(), run.flow_slug, str(run.pk)]

    flow = make_flow(single, coroutine)
    run = flow.using(meta={"user": 5}).start(number=1)
    run_worker(flow, until_idle=True)
    expected = [{"number": 1}, {"user": 5}, "probe", str(run.pk)]
    assert ended(run).output == {"single": expected, "coroutine": expected}


def test_a_map_has_the_input_of_the_run_even_if_its_signature_does_not_ask(make_flow, run_worker):
    def each_asking(item, flow_input, ctx):
        return [flow_input, ctx.flow_input, ctx.meta]

    def each_other(item, ctx):
        return [item, ctx.flow_input, ctx.meta]

    flow = make_flow(each_asking, each_other)
    value = [{"run": "mine"}]  # no key of the core's here
    run = flow.start(value)
    run_worker(flow, until_idle=True)
    assert ended(run).output == {"each_asking": [[value, value, {}]], "each_other": [[value[0], value, {}]]}


def test_helpers_and_logging_filters_find_the_context(make_flow, run_worker):
    def helper():
        return get_context().step_slug

    def single():
        return helper()

    async def coroutine():
        await asyncio.sleep(0)
        return [helper(), await sync_to_async(helper)()]

    flow = make_flow(single, coroutine)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).output == {"single": "single", "coroutine": ["coroutine", "coroutine"]}
    assert get_context() is None


# -- time


def test_a_handler_extends_its_time(make_flow, run_worker):
    def single(ctx):
        before = ctx.deadline
        ctx.extend(60)
        time.sleep(2)
        return ctx.deadline - before > timedelta(seconds=30)

    async def coroutine(ctx):
        ctx.extend(60)
        await asyncio.sleep(2)
        return ctx.time_left() > 30

    flow = make_flow(single, coroutine)
    query(SHORT, flow.slug)
    run = flow.start()
    run_worker(flow)
    assert ended(run).output == {"single": True, "coroutine": True}
    assert [row[2:4] for row in task_rows(run)] == [("completed", 1)] * 2


def test_an_extended_time_ends_too(make_flow, run_worker):
    def probe(ctx):
        ctx.extend(2)
        time.sleep(10)

    flow = make_flow(probe)
    query(SHORT, flow.slug)
    run = flow.start()
    run_worker(flow)
    assert ended(run).status == "failed"
    assert task_rows(run)[0][4].startswith("TimeoutError")


def test_nobody_else_takes_a_task_whose_time_was_extended(make_flow, run_worker):
    go = threading.Event()

    def probe(ctx):
        ctx.extend(600)
        go.wait(30)
        return ctx.attempt

    flow = make_flow(probe)
    run = flow.start()
    run_worker(flow)
    hidden = "select count(*) from pgmq.q_probe where vt > clock_timestamp() + interval '500 seconds'"
    eventually(lambda: query(hidden) == [(1,)], "the extension to be written")
    # As if the handler had run for as long.
    query(
        "update pgflow.step_tasks set started_at = started_at - interval '5 min', "
        "queued_at = queued_at - interval '5 min' where run_id = %s",
        run.pk,
    )
    assert query("select pgflow.requeue_stalled_tasks()") == [(0,)]
    go.set()
    assert ended(run).output == {"probe": 1}


# -- progress


def test_progress_is_kept_while_the_handler_runs(make_flow, run_worker):
    go = threading.Event()

    def probe(ctx):
        for done in range(2001):
            ctx.progress(done, 4000, f"line {done}\x00")
        go.wait(30)
        ctx.progress(4000, 4000, "done")

    flow = make_flow(probe)
    run = flow.start()
    run_worker(flow)
    eventually(lambda: progress(run) == [(1, 2000.0, 4000.0, "line 2000")], "the latest word")
    (row,) = run.task_progress.all()
    assert (row.fraction, row.step_task.step_slug) == (0.5, "probe")
    assert timezone.now() - row.updated_at < timedelta(minutes=1)
    go.set()
    ended(run)
    eventually(lambda: progress(run) == [(1, 4000.0, 4000.0, "done")], "the last word")


def test_progress_of_an_atomic_step_is_seen_before_its_commit(make_flow, run_worker):
    go = threading.Event()

    def probe(ctx):
        ctx.progress(1)
        go.wait(30)

    flow = make_flow(probe, step={"atomic": True})
    run = flow.start()
    run_worker(flow)
    eventually(lambda: progress(run) == [(1, 1.0, None, "")], "the progress")
    go.set()
    assert ended(run).status == "completed"


def test_progress_of_coroutines_and_of_a_later_attempt(make_flow, run_worker):
    async def probe(ctx):
        ctx.progress(ctx.attempt, 2)
        await asyncio.sleep(1.5)
        if ctx.attempt == 1:
            raise ValueError

    flow = make_flow(probe, max_attempts=2)
    run = flow.start()
    run_worker(flow)
    assert ended(run).status == "completed"
    assert progress(run) == [(2, 2.0, 2.0, "")]


def test_progress_of_what_was_taken_away_is_not_written(make_flow, run_worker):
    entered, go = threading.Event(), threading.Event()

    def probe(ctx):
        entered.set()
        go.wait(30)
        ctx.progress(1)
        assert ctx.cancelled.wait(30)

    flow = make_flow(probe)
    run = flow.start()
    worker = run_worker(flow)
    assert entered.wait(30)
    query("update pgflow.step_tasks set attempts_count = attempts_count + 1 where run_id = %s", run.pk)
    go.set()
    eventually(lambda: worker._slots.empty, "the handler's end")
    assert progress(run) == []


# -- interruptions


def test_a_handler_hears_that_its_run_was_cancelled(make_flow, run_worker, caplog):
    entered = threading.Barrier(2)
    heard = []

    def single(ctx):
        entered.wait(30)
        heard.append(ctx.cancelled.wait(30))
        ctx.check()

    flow = make_flow(single)
    run = flow.start()
    worker = run_worker(flow)
    entered.wait(30)
    with caplog.at_level(logging.INFO):
        run.cancel("enough")
        eventually(lambda: worker._slots.empty, "the handler's end")
    assert heard == [True]
    assert "Report refused" not in caplog.text
    assert failed_attempts(run) == []
    assert task_rows(run)[0][2] == "cancelled"


def test_a_coroutine_hears_it_too_and_is_not_killed(make_flow, run_worker):
    entered, heard = threading.Event(), []

    async def probe(ctx):
        entered.set()
        await ctx.cancelled.wait_async()
        await asyncio.sleep(0.1)
        heard.append("cleaned up")

    flow = make_flow(probe)
    run = flow.start()
    worker = run_worker(flow)
    assert entered.wait(30)
    run.cancel()
    eventually(lambda: worker._slots.empty, "the handler's end")
    assert heard == ["cleaned up"]


@pytest.mark.parametrize(
    "change",
    [
        "update pgflow.step_tasks set attempts_count = attempts_count + 1 where run_id = %s",
        "update pgflow.step_tasks set last_worker_id = null where run_id = %s",
        "update pgflow.step_tasks set status = 'queued', started_at = null where run_id = %s",
        "update pgflow.runs set status = 'failed', failed_at = clock_timestamp() where run_id = %s",
    ],
)
def test_a_handler_hears_that_its_task_is_not_its_own_any_more(make_flow, run_worker, change):
    entered, heard = threading.Event(), []

    def probe(ctx):
        entered.set()
        heard.append(ctx.cancelled.wait(30))

    flow = make_flow(probe)
    run = flow.start()
    run_worker(flow, concurrency=1)
    assert entered.wait(30)
    query(change, run.pk)
    eventually(lambda: heard == [True], "the handler to hear of it")


def test_a_shutdown_ends_handlers_that_check_and_costs_no_attempt(make_flow, run_worker, caplog):
    entered = threading.Barrier(3)

    def single(ctx):
        entered.wait(30)
        assert ctx.shutdown.wait(30)
        ctx.check()

    async def coroutine(ctx):
        await sync_to_async(entered.wait)(30)
        await ctx.shutdown.wait_async()
        ctx.check()

    flow = make_flow(single, coroutine)
    run = flow.start()
    worker = run_worker(flow, grace=60)
    entered.wait(30)
    with caplog.at_level(logging.WARNING):
        worker.stop()
        eventually(lambda: [row[2:4] for row in task_rows(run)] == [("queued", 0)] * 2, "the tasks to be given back")
    assert "gives back running tasks" not in caplog.text
    assert failed_attempts(run) == []


def test_check_after_the_deadline_fails_the_attempt(make_flow, run_worker):
    def probe(ctx):
        ctx._control.begin(-1)
        ctx.check()

    flow = make_flow(probe)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).status == "failed"
    assert task_rows(run)[0][4].startswith("TimeoutError: timed out")


# -- child runs


def children(run):
    return sorted(child.input["number"] for child in run.child_runs)


def test_a_child_run_is_started_once_however_often_its_parent_is_tried(make_flow, run_worker):
    def idle():
        return None

    child = make_flow(idle, slug="child")
    seen = []

    def probe(ctx):
        runs = [ctx.start(child, number=1), ctx.start(child, key="b", number=2)]
        seen.append([run.created for run in runs])
        if ctx.attempt == 1:
            raise ValueError
        return [str(run.pk) for run in runs]

    flow = make_flow(probe, max_attempts=2)
    run = flow.start()
    run_worker(flow, child, until_idle=True)
    run = ended(run)
    assert seen == [[True, True], [False, False]]
    assert children(run) == [1, 2]
    details = models.RunDetails.objects.get(pk=run.output["probe"][0])
    assert (details.parent_run, details.parent_step_slug, details.parent_task_index) == (run, "probe", 0)
    assert {found.status for found in run.child_runs} == {"completed"}


def test_each_task_of_a_map_has_children_of_its_own(make_flow, run_worker):
    def idle():
        return None

    child = make_flow(idle, slug="child")

    async def each_probe(number, ctx):
        await ctx.astart(child, {"number": number})

    flow = make_flow(each_probe)
    run = flow.start([1, 2, 3])
    run_worker(flow, child, until_idle=True)
    assert ended(run).status == "completed"
    assert children(run) == [1, 2, 3]


def test_the_child_of_an_atomic_step_is_part_of_its_commit(make_flow, run_worker):
    def idle():
        return None

    child = make_flow(idle, slug="child")

    def probe(ctx):
        ctx.start(child, number=ctx.attempt)
        if ctx.attempt == 1:
            raise ValueError

    flow = make_flow(probe, max_attempts=2, step={"atomic": True})
    run = flow.start()
    run_worker(flow, child, until_idle=True)
    assert ended(run).status == "completed"
    assert children(run) == [2], "that of the first attempt was rolled back"


def test_a_child_of_a_flow_that_is_not_installed_fails_the_task(make_flow, run_worker):
    from django_pgflow import Flow, registry

    missing = Flow("missing")

    def probe(ctx):
        try:
            ctx.start(missing)
        except exceptions.FlowNotInstalled:
            return "told"

    flow = make_flow(probe)
    run = flow.start()
    try:
        run_worker(flow, until_idle=True)
    finally:
        registry.unregister("missing")
    assert ended(run).output == {"probe": "told"}
