"""``atomic=True``: a handler's writes and the completion of its task are one commit, whatever happens in between."""

from __future__ import annotations

import logging
import threading

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone

from django_pgflow import SkipStep, exceptions, signals
from tests.fixtures.worker import eventually, query
from tests.integration.worker.conftest import ended, task_rows

ATOMIC = {"atomic": True}
LATE = "update pgflow.step_tasks set attempts_count = attempts_count + 1 where run_id = %s"


def names():
    return sorted(Group.objects.values_list("name", flat=True))


def write(ctx, text="written"):
    Group.objects.create(name=f"{text} {ctx.attempt}")


def in_another_session(statement, *params):
    """Execute a statement on a connection of its own, and return its rows."""
    with psycopg.connect(**_parameters(), autocommit=True) as other:
        cursor = other.execute(statement, params)
        return cursor.fetchall() if cursor.description else []


def _parameters():
    given = connection.get_connection_params()
    return {key: value for key, value in given.items() if key in ("host", "port", "dbname", "user", "password")}


def backend_pid():
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        return cursor.fetchone()[0]


def test_writes_and_completion_are_one_commit(make_flow, run_worker):
    seen = {}

    def probe(ctx):
        write(ctx)
        seen["in transaction"] = connection.in_atomic_block
        return "done"

    flow = make_flow(probe, step=ATOMIC)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).output == {"probe": "done"}
    assert names() == ["written 1"]
    assert seen["in transaction"]
    # The very same transaction wrote both rows.
    assert query(
        "select count(distinct x) from (select xmin::text x from auth_group "
        "union all select xmin::text from pgflow.step_tasks) as rows"
    ) == [(1,)]


def test_the_next_steps_follow_and_the_signal_is_sent(make_flow, run_worker):
    heard = []

    def first():
        return 1

    def second(first):
        return first + 1

    def each_third(number):
        return number

    flow = make_flow(first, second, step=ATOMIC)
    fan = make_flow(each_third, slug="fan", step=ATOMIC)

    def hear(sender, task, **kwargs):
        heard.append(task.step.slug)

    signals.task_completed.connect(hear)
    runs = [flow.start(), fan.start(list(range(20)))]
    # Without LISTEN and with a long pause between polls: an atomic step must itself make the worker look again.
    worker = run_worker(flow, fan, poll_interval=60, listen=False)
    assert [ended(run).output for run in runs] == [{"second": 2}, {"each_third": list(range(20))}]
    eventually(lambda: len(heard) == 22, "the signals")
    assert worker._slots.empty


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ValueError("no"), "failed", "ValueError: no"),
        (SystemExit(3), "failed", "SystemExit: 3"),
        (exceptions.NonRetryable("never"), "failed", "NonRetryable: never"),
        (SkipStep("nothing to do"), "completed", "nothing to do"),
    ],
)
def test_whatever_the_handler_raises_rolls_its_writes_back(make_flow, run_worker, error, status, told):
    def probe(ctx):
        write(ctx)
        raise error

    flow = make_flow(probe, step=ATOMIC)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).status == status
    assert task_rows(run)[0][4] == told
    assert names() == []


def _nan(ctx):
    write(ctx)
    return float("nan")


def _swallows(ctx):
    write(ctx)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1/0")
    except Exception:
        return "swallowed"


def _deferred(ctx):
    write(ctx)
    with connection.cursor() as cursor:
        cursor.execute("insert into auth_group_permissions (group_id, permission_id) values (0, 0)")


def _closes(ctx):
    write(ctx)
    connection.close()


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (_nan, "NotSerializable: The value at $ "),
        (_swallows, "InternalError: current transaction is aborted"),
        (_deferred, "IntegrityError: "),
        (_closes, "RuntimeError: The handler closed the connection"),
    ],
)
def test_what_cannot_be_committed_is_a_failure(make_flow, run_worker, handler, told):
    flow = make_flow(handler, step={**ATOMIC, "slug": "probe"})
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).status == "failed"
    assert task_rows(run)[0][4].startswith(told)
    assert names() == []


def test_a_retry_commits_once(make_flow, run_worker):
    def probe(ctx):
        write(ctx)
        if ctx.attempt < 3:
            raise ConnectionError
        return ctx.attempt

    flow = make_flow(probe, step=ATOMIC, max_attempts=3)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).output == {"probe": 3}
    assert names() == ["written 3"]


def test_a_task_that_was_taken_away_cannot_commit(make_flow, run_worker, caplog):
    def probe(ctx):
        write(ctx)
        if ctx.attempt == 1:  # as a sweep and another worker's claim would do
            in_another_session(
                "update pgflow.step_tasks set status = 'queued', started_at = null, last_worker_id = null "
                "where run_id = %s",
                ctx.run_id,
            )
            in_another_session("select pgmq.set_vt(%s, %s, 0)", ctx.flow_slug, ctx.message.msg_id)
        return ctx.attempt

    flow = make_flow(probe, step=ATOMIC)
    run = flow.start()
    with caplog.at_level(logging.WARNING):
        run_worker(flow, until_idle=True, concurrency=1)
    assert ended(run).output == {"probe": 2}
    assert names() == ["written 2"]
    assert "Report refused" in caplog.text


def test_a_cancelled_run_gets_no_writes(make_flow, run_worker):
    entered, go = threading.Event(), threading.Event()

    def probe(ctx):
        write(ctx)
        entered.set()
        go.wait(30)

    flow = make_flow(probe, step=ATOMIC)
    run = flow.start()
    worker = run_worker(flow)
    assert entered.wait(30)
    run.cancel("enough")
    go.set()
    eventually(lambda: worker._slots.empty, "the handler's end")
    assert names() == []
    assert task_rows(run)[0][2] == "cancelled"


def test_a_handler_that_is_too_late_cannot_commit(make_flow, run_worker):
    go = threading.Event()

    def probe(ctx):
        if ctx.attempt == 1:
            go.wait(30)
        write(ctx)
        return ctx.attempt

    flow = make_flow(probe, step=ATOMIC, max_attempts=2)
    query("update pgflow.steps set opt_timeout = 1 where flow_slug = %s", flow.slug)
    run = flow.start()
    worker = run_worker(flow, concurrency=1)
    assert ended(run).output == {"probe": 2}
    go.set()
    eventually(lambda: worker._slots.leftovers == 0, "the late handler's end")
    assert names() == ["written 2"]


def test_no_statement_outlives_the_timeout(make_flow, run_worker):
    def probe(ctx):
        with connection.cursor() as cursor:
            cursor.execute("show statement_timeout")
            (limit,) = cursor.fetchone()
            cursor.execute("set local statement_timeout = '7min'")
        return limit

    def after():
        with connection.cursor() as cursor:
            cursor.execute("show statement_timeout")
            return cursor.fetchone()[0]

    flow = make_flow(probe, step=ATOMIC, timeout=30)
    plain = make_flow(after, slug="plain")
    runs = [flow.start(), plain.start()]
    run_worker(flow, plain, until_idle=True, concurrency=1)
    (limit,) = ended(runs[0]).output.values()
    assert limit.endswith("ms")
    assert 20_000 < int(limit[:-2]) <= 30_000
    assert ended(runs[1]).output == {"after": "0"}


def test_siblings_are_not_held_up(make_flow, run_worker):
    entered, go = threading.Event(), threading.Event()

    def each_probe(number, ctx):
        write(ctx, f"number {number}")
        if number == 0:
            entered.set()
            go.wait(30)
        return number

    flow = make_flow(each_probe, step=ATOMIC)
    run = flow.start(list(range(10)))
    run_worker(flow, concurrency=2)
    assert entered.wait(30)
    eventually(lambda: len(names()) == 9, "the other nine")
    go.set()
    assert ended(run).output == {"each_probe": list(range(10))}


# -- the connection breaks


def test_cut_before_the_commit_the_task_is_done_again(make_flow, run_worker, caplog):
    def probe(ctx):
        write(ctx)
        if ctx.attempt == 1:
            in_another_session("select pg_terminate_backend(%s, 10000)", backend_pid())
        return ctx.attempt

    flow = make_flow(probe, step=ATOMIC)
    run = flow.start()
    with caplog.at_level(logging.WARNING):
        run_worker(flow, until_idle=True)
    assert ended(run).output == {"probe": 2}
    assert names() == ["written 2"]
    assert task_rows(run) == [("probe", 0, "completed", 1, None)], "the first try does not count"
    assert "Commit interrupted" in caplog.text


def test_cut_after_the_commit_the_task_is_not_done_again(make_flow, run_worker, caplog, monkeypatch):
    """The server commits, and its answer is lost."""
    commit = psycopg.Connection.commit
    cut = []

    def commit_and_lose_the_answer(self):
        commit(self)
        if in_handler.is_set() and not cut:
            cut.append(self.info.backend_pid)
            in_another_session("select pg_terminate_backend(%s, 10000)", self.info.backend_pid)
            self.execute("select 1")  # raises what a lost answer raises

    in_handler = threading.Event()
    monkeypatch.setattr(psycopg.Connection, "commit", commit_and_lose_the_answer)

    def probe(ctx):
        write(ctx)
        in_handler.set()
        return ctx.attempt

    flow = make_flow(probe, step=ATOMIC)
    run = flow.start()
    with caplog.at_level(logging.WARNING):
        run_worker(flow, until_idle=True)
    assert cut
    assert ended(run).output == {"probe": 1}
    assert names() == ["written 1"]
    assert "Commit interrupted" in caplog.text
    assert "Report refused" in caplog.text, "of the task that was given back to no avail"


def test_a_timeout_of_idle_transactions_counts(make_flow, run_worker):
    def probe(ctx):
        write(ctx)
        with connection.cursor() as cursor:
            cursor.execute("set idle_in_transaction_session_timeout = 50")
        pid = backend_pid()
        alive = "select 1 from pg_stat_activity where pid = %s"
        eventually(lambda: not in_another_session(alive, pid), "the server's patience")

    flow = make_flow(probe, step=ATOMIC)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).status == "failed", "or it would be tried without end"
    assert "timeout" in task_rows(run)[0][4]
    assert names() == []


def test_a_failing_on_commit_hook_changes_nothing(make_flow, run_worker, caplog):
    def fail():
        raise ValueError("too late to fail")

    def probe(ctx):
        transaction.on_commit(fail)
        write(ctx)
        return timezone.now().year > 2000

    flow = make_flow(probe, step=ATOMIC)
    run = flow.start()
    with caplog.at_level(logging.WARNING):
        run_worker(flow, until_idle=True)
    assert ended(run).output == {"probe": True}
    assert names() == ["written 1"]
    assert "too late to fail" in caplog.text
    assert "Report refused" not in caplog.text


def test_a_flow_can_say_it_for_all_its_steps(make_flow, run_worker):
    def probe():
        return connection.in_atomic_block

    said = make_flow(probe, atomic=True)
    unsaid = make_flow(probe, slug="unsaid", atomic=True, step={"atomic": False})
    runs = [said.start(), unsaid.start()]
    run_worker(said, unsaid, until_idle=True)
    assert [ended(run).output for run in runs] == [{"probe": True}, {"probe": False}]
