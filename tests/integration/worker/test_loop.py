"""The loop: what is claimed, when, and what is logged and signalled about it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest
from django.test import override_settings

from django_pgflow import compiler, signals
from django_pgflow.worker import served
from django_pgflow.worker.exchange import Exchange
from django_pgflow.worker.lifecycle import Lifecycle
from django_pgflow.worker.options import WorkerOptions
from django_pgflow.worker.worker import Worker
from tests.fixtures.worker import eventually, query
from tests.integration.worker.conftest import ended, task_rows
from tests.testapp import flows


def test_no_more_than_concurrency_tasks_run_and_slots_are_refilled(make_flow, run_worker):
    lock, now, most = threading.Lock(), [0], [0]

    def each_probe(number):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1

    flow = make_flow(each_probe)
    run = flow.start(list(range(30)))
    run_worker(flow, concurrency=3, until_idle=True)
    assert ended(run).status == "completed"
    assert most[0] == 3


def test_a_long_task_does_not_keep_the_other_slots_empty(make_flow, run_worker):
    release = threading.Event()

    def each_probe(number):
        if number == 0:
            release.wait(30)

    flow = make_flow(each_probe)
    run = flow.start(list(range(12)))
    run_worker(flow, concurrency=2, poll_interval=30)
    eventually(lambda: [row[2] for row in task_rows(run)].count("completed") == 11, "the others")
    release.set()
    assert ended(run).status == "completed"


def test_slow_tasks_after_quick_ones_are_not_claimed_and_given_back_again_and_again(make_flow, run_worker):
    def each_probe(number):
        if number >= 100:
            time.sleep(4)

    flow = make_flow(each_probe)
    run = flow.start(list(range(104)))
    run_worker(flow, concurrency=2, until_idle=True)
    assert ended(run).status == "completed"
    assert query("select max(attempts_count) <= 4 from pgflow.step_tasks where run_id = %s", run.pk) == [(True,)]


def waits() -> bool:
    return bool(query("select 1 from django_pgflow.waiting_workers where flow_slug = 'greet'"))


def test_a_waiting_worker_is_notified(run_worker):
    # The next look would come long after the deadline of this test.
    run_worker(flows.greet, poll_interval=600)
    for _ in range(2):
        eventually(waits, "the worker to wait")
        assert ended(flows.greet.start()).status == "completed"


def test_a_worker_that_does_not_listen_polls_and_asks_for_no_notifications(run_worker):
    run_worker(flows.greet, poll_interval=0.2, listen=False)
    for _ in range(2):
        assert ended(flows.greet.start()).status == "completed"
        assert not waits()


def test_a_worker_serves_only_its_flows(run_worker):
    other = flows.chain.start()
    run = flows.greet.start()
    run_worker(flows.greet, until_idle=True)
    assert ended(run).status == "completed"
    assert [row[2] for row in task_rows(other)] == ["queued"]


def test_a_busy_flow_does_not_starve_another(make_flow, run_worker):
    order = []

    def each_many(number):
        order.append("many")

    def few():
        order.append("few")

    many, rare = make_flow(each_many, slug="many"), make_flow(few, slug="rare")
    many.start(list(range(40)))
    rare.start()
    run_worker(many, rare, concurrency=2, until_idle=True)
    assert order.index("few") < 10


def test_worker_row(run_worker):
    worker = run_worker(flows.greet, flows.chain, heartbeat_interval=0.1)
    row = eventually(
        lambda: query(
            "select queue_name, function_name, last_heartbeat_at > started_at + interval '0.2 s' from pgflow.workers "
            "where worker_id = %s and last_heartbeat_at > started_at + interval '0.2 s'",
            worker.id,
        ),
        "heartbeats",
    )
    assert row[0][0] == "greet,chain"
    assert ":" in row[0][1]
    worker.stop()
    eventually(
        lambda: query("select 1 from pgflow.workers where worker_id = %s and stopped_at is not null", worker.id),
        "the end to be noted",
    )


def test_what_the_worker_never_got_is_given_back(run_worker):
    """As after a failover that lost the report of a task, or a claim whose answer was lost with a pooler."""
    run = flows.greet.start()
    worker = run_worker(flows.chain, heartbeat_interval=0.1)
    eventually(lambda: query("select 1 from pgflow.workers where worker_id = %s", worker.id), "the worker")
    query("update pgflow.workers set queue_name = 'greet,chain' where worker_id = %s", worker.id)
    worker._flows["greet"] = flows.greet
    query(
        "select from pgflow.start_tasks("
        "'greet', array(select message_id from pgflow.step_tasks where run_id = %s), %s)",
        run.pk,
        worker.id,
    )
    eventually(lambda: task_rows(run)[0][2:4] == ("queued", 0), "the task to be given back, its attempt forgiven")


def test_nobody_is_notified_for_a_worker_that_has_ended(run_worker):
    waiting = "select 1 from django_pgflow.waiting_workers"
    query("insert into django_pgflow.waiting_workers values ('greet', gen_random_uuid())")
    worker = run_worker(flows.greet)
    eventually(lambda: query(f"{waiting} where worker_id = %s", worker.id), "the worker to wait")
    worker.stop()
    eventually(lambda: not query(waiting), "the notes to go")


def test_what_was_claimed_while_the_worker_was_told_to_stop_is_given_back(make_flow, run_worker, monkeypatch):
    called = []

    def probe():
        called.append(1)

    original = Exchange.exchange

    async def slow_exchange(self, *args):
        records = await original(self, *args)
        if records:
            worker.stop()
            await asyncio.sleep(0.1)
        return records

    monkeypatch.setattr(Exchange, "exchange", slow_exchange)
    flow = make_flow(probe)
    worker = run_worker(flow)
    run = flow.start()
    eventually(
        lambda: query("select 1 from pgflow.workers where worker_id = %s and stopped_at is not null", worker.id), "end"
    )
    assert task_rows(run)[0][2:] == ("queued", 0, None)
    assert called == []


def test_a_deleted_worker_row_is_written_again(run_worker):
    worker = run_worker(flows.greet, heartbeat_interval=0.2)
    eventually(lambda: query("delete from pgflow.workers where worker_id = %s returning 1", worker.id), "the row")
    assert ended(flows.greet.start()).status == "completed"


def test_a_task_of_an_unknown_step_is_given_back_and_not_asked_for_in_a_loop(make_flow, run_worker, caplog):
    flow = make_flow(_probe)
    run = flow.start()
    del flow.steps["_probe"]
    run_worker(flow, flows.greet)
    eventually(lambda: "no such step" in caplog.text, "the warning")
    assert ended(flows.greet.start()).status == "completed"
    assert task_rows(run)[0][2:] == ("queued", 0, None)
    assert caplog.text.count("no such step") == 1


def _probe():
    return 1


@pytest.mark.parametrize("sync", [True, False])
def test_a_flow_of_another_shape_is_not_served(make_flow, caplog, sync):
    flow = make_flow(_probe)
    flow.start()
    with override_settings(PGFLOW={"SYNC": sync}):
        assert served.prepare({"probe": flow}, using="default") == {"probe": flow}
        flow.step(slug="another")(_probe)
        assert served.prepare({"probe": flow, "greet": flows.greet}, using="default") == {"greet": flows.greet}
    assert "Flow not served flow=probe" in caplog.text
    assert "'another' is only in the code" in caplog.text


def test_without_sync_a_flow_with_other_options_is_served(make_flow):
    flow = make_flow(_probe)
    query("update pgflow.flows set opt_timeout = 77 where flow_slug = 'probe'")
    with override_settings(PGFLOW={"SYNC": False}):
        assert served.prepare({"probe": flow}, using="default") == {"probe": flow}
    assert query("select opt_timeout from pgflow.flows where flow_slug = 'probe'") == [(77,)]
    served.prepare({"probe": flow}, using="default")
    assert compiler.differences({"probe": flow}, using="default") == {}


def test_log_lines(make_flow, run_worker, caplog):
    def probe(ctx):
        if ctx.attempt < 3:
            raise ValueError("bad")
        raise KeyError("worse")

    flow = make_flow(probe, max_attempts=3, base_delay=0)
    good = flows.greet.start()
    run = flow.start()
    with caplog.at_level(logging.INFO, logger="django_pgflow"):
        run_worker(flow, flows.greet, until_idle=True)
        ended(run)
    lines = [record for record in caplog.records if record.name == "django_pgflow.worker.task"]
    texts = [f"{record.levelname} {record.getMessage()}" for record in lines]
    assert f"INFO Task started flow=greet run={good.pk} step=hello index=0 attempt=1" in texts
    completed = next(record for record in lines if record.getMessage().startswith("Task completed"))
    assert f"flow=greet run={good.pk} step=hello index=0 attempt=1 seconds=0." in completed.getMessage()
    assert (completed.run, completed.step, completed.index, completed.attempt) == (str(good.pk), "hello", 0, 1)
    retried = [text for text in texts if text.startswith("WARNING Task failed, will be retried")]
    assert len(retried) == 2
    assert f"run={run.pk} step=probe index=0 attempt=1 max_attempts=3 seconds=0." in retried[0]
    (last,) = [record for record in lines if record.levelno == logging.ERROR]
    assert "error=KeyError: 'worse'" in last.getMessage()
    assert last.exc_info[0] is KeyError


def test_signals(make_flow, run_worker):
    heard = []

    def hear(signal, sender, task, **kwargs):
        query("select 1")  # a receiver may use the database
        heard.append(
            (next(n for n, s in vars(signals).items() if s is signal), sender.slug, task.context.attempt, kwargs)
        )

    def probe(ctx):
        raise ValueError("bad")

    flow = make_flow(probe, max_attempts=2, base_delay=0)
    all_signals = [signals.task_started, signals.task_completed, signals.task_failed]
    for signal in all_signals:
        signal.connect(hear)
    try:
        flows.greet.start()
        run_worker(flows.greet, until_idle=True)
        flow.start()
        run_worker(flow, until_idle=True)
    finally:
        for signal in all_signals:
            signal.disconnect(hear)
    names = [(name, slug, attempt, kwargs.get("will_retry")) for name, slug, attempt, kwargs in heard]
    assert names == [
        ("task_started", "greet", 1, None),
        ("task_completed", "greet", 1, None),
        ("task_started", "probe", 1, None),
        ("task_failed", "probe", 1, True),
        ("task_started", "probe", 2, None),
        ("task_failed", "probe", 2, False),
    ]
    assert heard[-1][3]["error_message"] == "ValueError: bad"


def test_a_report_for_a_run_that_ended_meanwhile_is_refused_and_logged(make_flow, run_worker, caplog):
    begun, release = threading.Event(), threading.Event()

    def each_probe(number):
        if number:
            begun.wait(20)
            raise ValueError("bad")
        begun.set()
        release.wait(20)
        return "late"

    flow = make_flow(each_probe)
    run = flow.start([0, 1])
    run_worker(flow, concurrency=2)
    assert ended(run).status == "failed"
    release.set()
    eventually(lambda: "Report refused" in caplog.text, "the refusal")
    assert [row[2] for row in task_rows(run)] == ["cancelled", "failed"]


def test_an_outcome_that_the_database_does_not_take_fails_its_task_only(make_flow, run_worker, caplog):
    def each_probe(number):
        return number

    flow, bad = make_flow(each_probe), make_flow(_probe, slug="bad")
    vars(bad.steps["_probe"])["encode_output"] = lambda value: '"\\u0000"'
    run, bad_run = flow.start([1, 2, 3]), bad.start()
    run_worker(flow, bad, until_idle=True)
    assert ended(run).output == {"each_probe": [1, 2, 3]}
    assert ended(bad_run).status == "failed"
    assert task_rows(bad_run)[0][4].startswith("The outcome could not be stored: ")


def test_a_worker_that_is_told_to_stop_before_it_runs_does_not_run(transactional_db):
    worker = Worker({"greet": flows.greet}, WorkerOptions.from_settings())
    worker.stop()
    assert worker.run() == 0


@pytest.mark.parametrize("method", ["_beat", "_sweep"])
def test_a_bug_beside_the_loop_ends_the_worker(transactional_db, monkeypatch, method):
    async def broken(self):
        raise AssertionError("a bug")

    monkeypatch.setattr(Lifecycle, method, broken)
    with pytest.raises(AssertionError, match="a bug"):
        Worker({"greet": flows.greet}, WorkerOptions.from_settings()).run()
