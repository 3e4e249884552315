"""What a handler waits for and how its time ends, without a worker."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from typing import Any

import pytest

from django_pgflow import Context, get_context
from django_pgflow.dsl.context import Message, WorkerInfo
from django_pgflow.dsl.control import Control, Flag
from django_pgflow.exceptions import ShuttingDown, TaskCancelled


def make(control: Control) -> Context:
    return Context(
        run_id=uuid.UUID(int=7),
        flow_slug="f",
        step_slug="s",
        task_index=0,
        attempt=1,
        max_attempts=3,
        timeout=60,
        worker=WorkerInfo(id=uuid.UUID(int=8), name="host:1"),
        message=Message(queue="f", msg_id=9),
        _control=control,
    )


def test_a_flag_is_waited_for_in_threads() -> None:
    flag = Flag()
    seen: list[bool] = []
    threads = [threading.Thread(target=lambda: seen.append(flag.wait(30))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert not flag.is_set()
    assert not flag.wait(0.01)
    flag.set()
    for thread in threads:
        thread.join(30)
    assert seen == [True, True, True]
    assert flag.is_set()
    assert flag.wait(0)


def test_a_flag_is_waited_for_in_coroutines() -> None:
    flag = Flag()

    async def main() -> None:
        waiting = [asyncio.create_task(flag.wait_async()) for _ in range(3)]
        given_up = asyncio.create_task(flag.wait_async())
        await asyncio.sleep(0)
        given_up.cancel()
        threading.Thread(target=flag.set).start()
        await asyncio.wait_for(asyncio.gather(*waiting), 30)
        await flag.wait_async()

    asyncio.run(main())


def test_a_flag_can_be_set_when_the_loop_of_a_waiter_is_gone() -> None:
    flag = Flag()
    loop = asyncio.new_event_loop()
    task = loop.create_task(flag.wait_async())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    flag.set()
    assert flag.is_set()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    task.get_coro().close()  # type: ignore[union-attr]


def test_check_says_why_a_handler_should_not_go_on() -> None:
    control = Control(60)
    ctx = make(control)
    ctx.check()
    control.shutdown.set()
    with pytest.raises(ShuttingDown):
        ctx.check()
    control.cancelled.set()
    with pytest.raises(TaskCancelled):
        ctx.check()
    with pytest.raises(TimeoutError, match="timed out"):
        make(Control(-1)).check()


def test_time_is_extended_and_never_shortened() -> None:
    ctx = make(Control(0.05))
    first = ctx.deadline
    ctx.extend(0.001)
    assert ctx.deadline == first
    ctx.extend(60)
    assert ctx.deadline > first
    assert 50 < ctx.time_left() <= 60
    time.sleep(0.06)
    ctx.check()


@pytest.mark.parametrize("ask", [lambda c: c.flow_input, lambda c: c.run, lambda c: c.meta, lambda c: c.start(None)])
def test_without_a_worker_there_is_nobody_to_ask(ask: Any) -> None:
    ctx = make(Control())
    ctx.progress(1, 2, "nobody hears")
    with pytest.raises(RuntimeError, match="needs a worker"):
        ask(ctx)


def test_outside_of_handlers_there_is_no_context() -> None:
    assert get_context() is None
