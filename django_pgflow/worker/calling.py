"""Calling a handler, in the thread or on the loop that it is to run in.

Whatever a handler raises, ``SystemExit`` too, is a failure of its task and not the end of the worker.
"""

from __future__ import annotations

import logging

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from django_pgflow.dsl import context
from django_pgflow.worker import atomic, connections
from django_pgflow.worker.task import Outcome, Task

logger = logging.getLogger(__name__)


def call(task: Task) -> Outcome:
    """Call a ``def`` handler, in the thread that it is to run in."""
    token = context.current.set(task.give_context)
    try:
        connections.before_task()
        args, kwargs = task.arguments()
        if task.step.atomic:
            outcome = atomic.call(task, args, kwargs)
        else:
            outcome = task.completed(task.step.func(*args, **kwargs))
    except BaseException as error:
        outcome = task.failed(error)
    finally:
        context.current.reset(token)
    try:
        task.controls.finish(task.control)
        connections.after_task()
    except Exception as error:
        if outcome.kind == "completed":  # else the handler's own error says more
            outcome = task.failed(error)
        elif outcome.kind == "committed":
            logger.warning("%s The task is completed all the same.", error, extra=task.log_fields())
    return outcome


async def acall(task: Task) -> Outcome:
    """Await an ``async def`` handler, which is cancelled when its time is over."""
    context.current.set(task.give_context)  # of this asyncio task, with which it ends
    threads = ThreadSensitiveContext()
    SyncToAsync.thread_sensitive_context.set(threads)
    try:
        args, kwargs = task.arguments()
        return task.completed(await task.step.func(*args, **kwargs))
    except BaseException as error:
        return task.failed(error)
    finally:
        # The context's own exit would wait for the thread, and the loop with it; and it closes no connection.
        thread = SyncToAsync.context_to_thread_executor.pop(threads, None)
        if thread is not None:
            thread.submit(connections.close_all)
            thread.shutdown(wait=False)
