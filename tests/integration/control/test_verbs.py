"""The verbs in Python: on flows, on runs, and in the client."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone

from django_pgflow import (
    FailedByCondition,
    InvalidInput,
    NotSerializable,
    RunCancelled,
    RunEnded,
    RunExists,
    RunFailed,
    RunNotFailed,
    RunNotFound,
    client,
    models,
)
from tests.fixtures import driving
from tests.fixtures.worker import query
from tests.testapp import flows

pytestmark = pytest.mark.django_db


def visible_in(run: models.Run) -> float:
    return float(
        query(
            f"select extract(epoch from min(vt) - clock_timestamp()) from pgmq.q_{run.flow_slug} "
            "where message ->> 'run_id' = %s",
            str(run.pk),
        )[0][0]
    )


def fail_flaky() -> models.Run:
    def answer(task: Any) -> Any:
        if task.step_slug == "fragile":
            raise driving.Failure("no file")

    run = flows.flaky.start(until="never")
    driving.work("flaky", answer)
    run.refresh_from_db()
    assert run.status == "failed"
    return run


class TestCancel:
    def test_the_run_is_told_and_shown_as_cancelled(self) -> None:
        run = flows.greet.start()
        assert (run.is_cancelled, run.display_status) == (False, "started")
        run.cancel("a duplicate")
        assert (run.status, run.is_cancelled, run.display_status) == ("failed", True, "cancelled")
        assert run.details.cancel_reason == "a duplicate"
        assert list(models.Run.objects.cancelled()) == [run]
        assert models.Run.objects.select_related("details").get().is_cancelled

    def test_a_failed_run_is_not_cancelled(self) -> None:
        run = fail_flaky()
        assert (run.is_cancelled, run.display_status) == (False, "failed")

    def test_waiting_for_it_says_so(self) -> None:
        run = flows.greet.start()
        run.cancel("a duplicate")
        with pytest.raises(RunCancelled, match="of flow 'greet' was cancelled: a duplicate") as caught:
            run.result()
        assert (caught.value.run_id, caught.value.reason) == (run.run_id, "a duplicate")
        assert run.join() == "failed"
        with pytest.raises(RunCancelled):
            async_to_sync(run.aresult)()

    def test_what_has_ended_or_is_not_there_is_an_error(self) -> None:
        run = fail_flaky()
        with pytest.raises(RunEnded, match="has ended already"):
            run.cancel()
        with pytest.raises(RunNotFound):
            client.cancel(uuid.uuid4())

    def test_from_a_coroutine(self) -> None:
        run = flows.greet.start()
        async_to_sync(run.acancel)("why not")
        assert run.is_cancelled
        async_to_sync(run.aresume)()
        assert run.status == "started"
        assert async_to_sync(client.acancel)(run.run_id).status == "failed"
        assert async_to_sync(client.aresume)(run.run_id).status == "started"

    def test_many_at_once(self) -> None:
        runs = flows.greet.bulk_start([{}, {}])
        unknown = uuid.uuid4()
        became = client.cancel_runs([runs[0].run_id, unknown, runs[1].run_id], "all")
        assert [one.outcome for one in became] == ["cancelled", "not_found", "cancelled"]
        became = async_to_sync(client.aresume_runs)([runs[0].run_id, unknown])
        assert [one.outcome for one in became] == ["resumed", "not_found"]
        assert client.cancel_runs([]) == client.resume_runs([]) == []


class TestResume:
    def test_a_failed_run_goes_on(self) -> None:
        run = fail_flaky()
        run.resume()
        assert (run.status, run.failed_at, run.error) == ("started", None, "")
        driving.work("flaky", lambda task: "mended")
        assert run.result() == {"fragile": "mended"}

    def test_a_run_that_has_not_failed_is_an_error(self) -> None:
        run = flows.greet.start()
        with pytest.raises(RunNotFailed, match=r"use `run.restart\(\)`"):
            run.resume()
        with pytest.raises(RunNotFound):
            client.resume(uuid.uuid4())

    def test_a_run_that_failed_by_a_condition_is_an_error(self) -> None:
        driving.define("gated", "a")
        query(
            "update pgflow.steps set required_input_pattern = '{\"ok\": true}', when_unmet = 'fail' "
            "where flow_slug = 'gated'"
        )
        (run,) = driving.start("gated", {})
        with pytest.raises(FailedByCondition, match="its input cannot change"):
            run.resume()
        with pytest.raises(RunFailed, match="Condition not met"):
            run.result()


class TestRestart:
    def test_the_new_run_is_linked(self) -> None:
        old = flows.greet.using(meta={"user": 1}).start(name="Ada")
        new = old.restart()
        assert (new.created, new.input, new.status) == (True, {"name": "Ada"}, "started")
        assert (new.details.restarted_from, new.details.meta) == (old, {"user": 1})
        assert [one.run for one in old.restarts.all()] == [new]

    def test_another_input_is_the_whole_input(self) -> None:
        old = flows.greet.start(name="Ada", title="Countess")
        assert old.restart(name="Grace").input == {"name": "Grace"}
        assert old.restart({"name": "Grace"}).input == {"name": "Grace"}
        assert async_to_sync(old.arestart)(name="Joan").input == {"name": "Joan"}
        with pytest.raises(TypeError, match="A run has one input"):
            old.restart(1, name="Grace")
        with pytest.raises(NotSerializable):
            old.restart(name=object())

    def test_a_wrong_input_leaves_the_transaction_usable(self) -> None:
        old = flows.root_map.start([1])
        with pytest.raises(InvalidInput):
            old.restart({"no": "list"})
        assert models.Run.objects.count() == 1

    def test_an_unknown_run_is_an_error(self) -> None:
        with pytest.raises(RunNotFound):
            client.restart(uuid.uuid4())
        with pytest.raises(RunNotFound):
            async_to_sync(client.arestart)(uuid.uuid4(), "{}")


class TestUsing:
    def test_a_key_starts_once(self) -> None:
        first = flows.greet.using(key="order-5").start(name="Ada")
        second = flows.greet.using(key="order-5").start(name="Grace")
        assert (first.created, second.created, second) == (True, False, first)
        assert second.input == {"name": "Ada"}
        assert flows.greet.runs.get().created is None
        assert flows.greet.using(key="order-6").start().created
        assert flows.chain.using(key="order-5").start().run_id != first.run_id
        assert first.run_id == client.key_id("greet", "order-5")

    def test_the_ids_of_keys_never_change(self) -> None:
        assert client.key_id("greet", "order-5") == uuid.UUID("865ecc32-e455-559f-9cb3-d2da05f7bb88")

    def test_a_run_id_is_taken_once(self) -> None:
        run_id = uuid.uuid4()
        run = flows.greet.using(run_id=run_id).start()
        assert (run.run_id, run.created) == (run_id, True)
        with pytest.raises(RunExists, match="there is a run of that id already"), transaction.atomic():
            flows.greet.using(run_id=run_id).start()
        assert flows.greet.runs.count() == 1

    @pytest.mark.parametrize("delay", [90, 90.0, timedelta(minutes=1.5)])
    def test_a_delay(self, delay: Any) -> None:
        assert 85 < visible_in(flows.greet.using(delay=delay).start()) <= 91

    def test_a_time(self) -> None:
        assert 85 < visible_in(flows.greet.using(at=timezone.now() + timedelta(seconds=90)).start()) <= 91
        assert visible_in(flows.greet.using(at=timezone.now() - timedelta(days=1)).start()) <= 0

    def test_options_go_together_and_one_after_the_other(self) -> None:
        run = flows.greet.using(key="k").using(delay=90, meta={"user": 1}).start(name="Ada")
        assert run.details.meta == {"user": 1}
        assert visible_in(run) > 85
        assert flows.greet.using(key="k").start() == run

    def test_bulk_start_shares_delay_and_meta(self) -> None:
        runs = flows.greet.using(delay=90, meta={"batch": 7}).bulk_start([{"name": "a"}, {"name": "b"}])
        assert [run.details.meta for run in runs] == [{"batch": 7}] * 2
        assert all(visible_in(run) > 85 for run in runs)
        assert [run.created for run in runs] == [True, True]

    def test_from_a_coroutine(self) -> None:
        starter = flows.greet.using(key="k")
        run = async_to_sync(starter.astart)(name="Ada")
        assert async_to_sync(starter.astart)() == run
        assert len(async_to_sync(flows.greet.using(meta={}).abulk_start)([{}, {}])) == 2

    @pytest.mark.parametrize(
        ("options", "error", "said"),
        [
            ({"key": ""}, TypeError, "key= is a text"),
            ({"key": 5}, TypeError, "key= is a text"),
            ({"run_id": "x"}, TypeError, "run_id= is a uuid.UUID"),
            ({"key": "k", "run_id": uuid.uuid4()}, TypeError, "not both"),
            ({"delay": 1, "at": timezone.now()}, TypeError, "not both"),
            ({"delay": "soon"}, TypeError, "delay= is seconds or a timedelta"),
            ({"delay": True}, TypeError, "delay= is seconds or a timedelta"),
            ({"delay": -1}, ValueError, "delay= is from 0 to"),
            ({"delay": float("nan")}, ValueError, "delay= is from 0 to"),
            ({"at": datetime(2030, 1, 1)}, TypeError, "an aware datetime"),
            ({"meta": [1]}, TypeError, "meta= is a dict"),
            ({"prio": 1}, TypeError, "prio"),
        ],
    )
    def test_what_cannot_be_is_refused_at_once(self, options: Any, error: type[Exception], said: str) -> None:
        with pytest.raises(error, match=said):
            flows.greet.using(**options)

    @pytest.mark.parametrize("options", [{"key": "k"}, {"run_id": uuid.uuid4()}])
    def test_a_key_belongs_to_one_run(self, options: Any) -> None:
        with pytest.raises(TypeError, match="belong to one run"):
            flows.greet.using(**options).bulk_start([{}])

    def test_refusals_are_those_of_start(self) -> None:
        with pytest.raises(InvalidInput):
            flows.root_map.using(key="k").start({"no": "list"})
        with pytest.raises(NotSerializable, match=r"\$\.user"):
            flows.greet.using(meta={"user": object()}).start()


def test_failed_attempts_are_kept_with_their_task() -> None:
    run = fail_flaky()
    task = run.step_tasks.get(step_slug="fragile")
    (attempt,) = task.failed_attempts.all()
    assert (attempt.attempt, attempt.error_message, attempt.worker_id) == (1, "no file", task.last_worker_id)
    assert attempt.step_task == task
    assert attempt.duration is not None
    assert list(run.failed_attempts.all()) == [attempt]
    assert async_to_sync(run.aretry)()[0].outcome == "queued"
    assert task.failed_attempts.count() == 1
