"""The verbs and properties of a run."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

from django_pgflow import client, exceptions, models
from tests.fixtures import driving

pytestmark = pytest.mark.django_db


def fail(task):
    raise driving.Failure("no stock\nsecond line")


@pytest.fixture
def flow() -> str:
    driving.define("one", "first", "second < first")
    return "one"


def test_a_run_is_made_of_a_record_and_reads_its_input_when_asked(flow, django_assert_num_queries):
    (record,) = client.start(flow, ['{"a": 1}'])
    with django_assert_num_queries(0):
        run = models.Run.from_record(record, "default")
        assert (run.flow_slug, run.status, run.remaining_steps, run.output) == ("one", "started", 2, None)
        assert (str(run), run.database) == (f"one {str(record.run_id)[:8]}", "default")
    with django_assert_num_queries(1):
        assert run.input == {"a": 1}


def test_result_returns_the_output_and_brings_the_run_up_to_date(flow):
    (run,) = driving.start(flow)
    driving.work(flow, lambda task: task.step_slug)
    assert run.result() == {"second": "second"}
    assert (run.status, run.output, run.remaining_steps) == ("completed", {"second": "second"}, 0)
    assert run.ended_at == run.completed_at
    assert run.duration.total_seconds() >= 0
    assert run.error == ""


def test_join_returns_the_status_and_result_raises_for_a_failed_run(flow):
    (run,) = driving.start(flow)
    driving.work(flow, fail)
    assert run.join() == "failed"
    with pytest.raises(exceptions.RunFailed) as caught:
        run.result()
    assert (caught.value.step_slug, caught.value.task_index) == ("first", 0)


def test_error_is_the_text_of_what_failed_first(flow, django_assert_num_queries):
    (run,) = driving.start(flow)
    assert run.error == ""
    driving.work(flow, fail)
    run.refresh_from_db()
    with django_assert_num_queries(1):
        assert run.error == "no stock\nsecond line"
        assert run.failure.step_slug == "first"


def test_waiting_in_a_transaction_is_refused(flow):
    (run,) = driving.start(flow)
    with pytest.raises(exceptions.WouldDeadlock):
        run.result(timeout=5)


def test_retry_takes_the_run_up_where_it_failed(flow):
    (run,) = driving.start(flow)
    driving.work(flow, lambda task: fail(task) if task.step_slug == "second" else "kept")
    run.refresh_from_db()
    assert run.status == "failed"

    assert [record.outcome for record in run.retry()] == ["queued"]

    driving.work(flow, lambda task: task.input["first"] + " and used")
    assert run.result() == {"second": "kept and used"}
    assert models.StepTask.objects.get(run=run, step_slug="first").attempts_count == 1


def test_retry_of_a_run_without_failed_tasks_does_nothing(flow):
    (run,) = driving.start(flow)
    assert run.retry() == []


@pytest.mark.django_db(transaction=True)
def test_the_verbs_have_async_twins(flow):
    (run,) = driving.start(flow)
    driving.work(flow, lambda task: task.step_slug)
    assert async_to_sync(run.ajoin)() == "completed"
    assert async_to_sync(run.aresult)(timeout=5) == {"second": "second"}
