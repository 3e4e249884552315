"""What handlers raise to decide about their task, and what is kept of their errors."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from django_pgflow import NonRetryable, RetryAfter, SkipStep, models
from tests.fixtures.worker import eventually, query
from tests.integration.worker.conftest import ended, task_rows


class NoSuchCustomer(LookupError):
    pass


class Unlucky(Exception):
    pass


def probe_of(error):
    def probe():
        raise error

    return probe


def attempts(run):
    return list(models.FailedAttempt.objects.filter(run_id=run.pk).order_by("step_slug", "task_index", "attempt"))


def visible_in(flow):
    ((seconds,),) = query(f"select extract(epoch from vt - clock_timestamp()) from pgmq.q_{flow.slug}")
    return float(seconds)


def queued_again(run):
    def look():
        again = run.step_tasks.filter(status="queued", attempts_count=1).exists()
        return task_rows(run) if again else None

    return eventually(look, "the task's return to the queue")


def test_non_retryable_ends_the_attempts(make_flow, run_worker, caplog):
    flow = make_flow(probe_of(NonRetryable("no such customer")), max_attempts=5)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).status == "failed"
    assert task_rows(run) == [("probe", 0, "failed", 1, "NonRetryable: no such customer")]
    (line,) = [record for record in caplog.records if record.name == "django_pgflow.worker.task"]
    assert (line.levelno, line.will_retry) == (logging.ERROR, False)


@pytest.mark.parametrize("named", [[NoSuchCustomer], NoSuchCustomer, [ValueError, LookupError], (NoSuchCustomer,)])
def test_a_class_of_no_retry_ends_the_attempts(make_flow, run_worker, named):
    flow = make_flow(probe_of(NoSuchCustomer("number 5")), max_attempts=5, step={"no_retry": named})
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert task_rows(ended(run)) == [("probe", 0, "failed", 1, "NoSuchCustomer: number 5")]


def test_other_classes_are_tried_again(make_flow, run_worker):
    flow = make_flow(probe_of(Unlucky("again")), max_attempts=2, base_delay=0, step={"no_retry": [NoSuchCustomer]})
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert task_rows(ended(run))[0][3] == 2


def test_when_exhausted_decides_after_non_retryable(make_flow, run_worker):
    flow = make_flow(probe_of(NonRetryable("never mind")), max_attempts=5, step={"when_exhausted": "skip"})
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).status == "completed"
    (step,) = run.step_states.all()
    assert (step.status, step.skip_reason) == ("skipped", "handler_failed")


@pytest.mark.parametrize(
    ("when", "least", "most"),
    [
        (90, 85, 90),
        (89.2, 85, 90),
        (timedelta(minutes=1.5), 85, 90),
        (lambda: timezone.now() + timedelta(seconds=90), 80, 91),
    ],
)
def test_retry_after_chooses_the_delay(make_flow, run_worker, when, least, most):
    def probe():
        raise RetryAfter(when() if callable(when) else when, "come back later")

    flow = make_flow(probe, max_attempts=5, base_delay=1)
    run = flow.start()
    run_worker(flow)
    assert queued_again(run) == [("probe", 0, "queued", 1, "RetryAfter: come back later")]
    assert least < visible_in(flow) <= most
    (attempt,) = attempts(run)
    assert attempt.error_class == "django_pgflow.exceptions.RetryAfter"


def test_retry_after_is_a_failure_like_others_at_the_last_attempt(make_flow, run_worker):
    flow = make_flow(probe_of(RetryAfter(0)), max_attempts=2)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).status == "failed"
    assert task_rows(run) == [("probe", 0, "failed", 2, "RetryAfter: after 0")]


def test_a_retry_that_does_not_count_costs_no_attempt(make_flow, run_worker):
    seen = []

    def probe(ctx):
        seen.append(ctx.is_last_attempt)
        if len(seen) < 4:
            raise RetryAfter(0, count=False)
        return "at last"

    flow = make_flow(probe, max_attempts=1)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).output == {"probe": "at last"}
    assert seen == [True] * 4
    assert task_rows(run) == [("probe", 0, "completed", 1, None)]
    assert attempts(run) == []


def test_a_retry_that_does_not_count_waits_too(make_flow, run_worker, caplog):
    caplog.set_level(logging.INFO, "django_pgflow")
    flow = make_flow(probe_of(RetryAfter(90, count=False)))
    run = flow.start()
    run_worker(flow)
    queued_again(run)
    assert 85 < visible_in(flow) <= 90
    eventually(lambda: "Task given back by its handler" in caplog.text, "the log line")


def test_skip_step_skips_the_step_and_the_run_goes_on(make_flow, run_worker, caplog):
    caplog.set_level(logging.INFO, "django_pgflow")

    def thanks():
        raise SkipStep("nothing to do\x00")

    def ship(thanks=None):
        return thanks

    flow = make_flow(thanks, ship)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).output == {"ship": None}
    step = run.step_states.get(step_slug="thanks")
    assert (step.status, step.skip_reason, step.error_message) == ("skipped", "handler_skipped", "nothing to do")
    assert task_rows(run)[1][2:] == ("skipped", 1, "nothing to do")
    assert attempts(run) == []
    assert "Step skipped by its handler" in caplog.text


def test_skip_step_in_a_map_ends_its_other_tasks(make_flow, run_worker):
    def each_probe(number):
        if number == 1:
            raise SkipStep

    flow = make_flow(each_probe)
    run = flow.start([0, 1, 2, 3])
    run_worker(flow, concurrency=1, until_idle=True)
    assert ended(run).status == "completed"
    assert [row[2] for row in task_rows(run)] == ["completed", "skipped", "skipped", "skipped"]


def test_what_cannot_be_stored_is_not_tried_again(make_flow, run_worker):
    def probe():
        return object()

    flow = make_flow(probe, max_attempts=5)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert task_rows(ended(run))[0][3] == 1
    (attempt,) = attempts(run)
    assert attempt.error_class == "django_pgflow.exceptions.NotSerializable"


def test_a_wrong_type_where_a_list_is_due_is_tried_again(make_flow, run_worker):
    calls = []

    def probe() -> list:
        calls.append(1)
        return [1] if len(calls) > 1 else "no list"

    flow = make_flow(probe, max_attempts=2, base_delay=0)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).output == {"probe": [1]}


def test_a_dependency_that_was_skipped_is_not_waited_for(make_flow, run_worker):
    def thanks():
        raise SkipStep

    def ship(thanks):
        return thanks

    flow = make_flow(thanks, ship, max_attempts=5)
    run = flow.start()
    run_worker(flow, until_idle=True)
    assert ended(run).status == "failed"
    assert task_rows(run)[0][3:] == (
        1,
        "DependencySkipped: The handler of step 'ship' needs the output of 'thanks', which has none in this run: "
        "it was skipped. Give the parameter a default value: thanks=None.",
    )


def test_every_failed_attempt_is_kept_with_class_and_traceback(make_flow, run_worker):
    def probe(ctx):
        try:
            raise KeyError("customer")
        except KeyError as error:
            raise NoSuchCustomer(f"attempt {ctx.attempt}\x00") from error

    flow = make_flow(probe, max_attempts=3, base_delay=0)
    run = flow.start()
    worker = run_worker(flow, until_idle=True)
    assert ended(run).status == "failed"
    found = attempts(run)
    assert [one.attempt for one in found] == [1, 2, 3]
    for one in found:
        assert one.error_class == f"{__name__}.NoSuchCustomer"
        assert one.error_message == f"NoSuchCustomer: attempt {one.attempt}"
        assert one.worker_id == worker.id
        assert one.traceback.startswith("Traceback (most recent call last):\n")
        assert "KeyError: 'customer'" in one.traceback
        assert "direct cause of the following exception" in one.traceback
        assert one.traceback.endswith(f"NoSuchCustomer: attempt {one.attempt}\n")
        assert "django_pgflow/worker" not in one.traceback
        assert "\x00" not in one.traceback


def test_a_timeout_is_kept_with_its_class(make_flow, run_worker):
    async def probe():
        import asyncio

        await asyncio.sleep(30)

    flow = make_flow(probe)
    query("update pgflow.steps set opt_timeout = 1 where flow_slug = %s", flow.slug)
    run = flow.start()
    run_worker(flow)
    assert ended(run).status == "failed"
    (attempt,) = attempts(run)
    assert (attempt.error_class, attempt.traceback) == ("builtins.TimeoutError", None)


def test_conditions_and_cancellation_with_a_worker(make_flow, run_worker):
    def check(flow_input):
        return {"country": flow_input["country"]}

    def customs(check):
        return "declared"

    def ship(check, customs="none"):
        return customs

    from django_pgflow import Flow, compiler, registry

    flow = Flow("shipping", max_attempts=1)
    try:
        flow.step(check)
        flow.step(only_if={"check": {"country": "CH"}})(customs)
        flow.step(ship)
        compiler.sync({"shipping": flow}, using="default", verbosity=0)
        abroad, home = flow.start(country="CH"), flow.start(country="DE")
        later = flow.using(delay=600).start(country="CH")
        later.cancel("changed my mind")
        run_worker(flow, until_idle=True)
        assert ended(abroad).output == {"ship": "declared"}
        assert ended(home).output == {"ship": "none"}
        assert ended(later).is_cancelled
    finally:
        registry.unregister("shipping")
