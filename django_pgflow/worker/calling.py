"""Calling a handler, in the thread or on the loop that it is to run in.

Whatever a handler raises, ``SystemExit`` too, is a failure of its task and not the end of the worker.
"""

from __future__ import annotations

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from django_pgflow.worker import connections
from django_pgflow.worker.task import Outcome, Task


def call(task: Task) -> Outcome:
    """Call a ``def`` handler, in the thread that it is to run in."""
    try:
        connections.before_task()
        args, kwargs = task.arguments()
        outcome = task.completed(task.step.func(*args, **kwargs))
    except BaseException as error:
        outcome = task.failed(error)
    try:
        connections.after_task()
    except Exception as error:
        if outcome.kind == "completed":  # else the handler's own error says more
            outcome = task.failed(error)
    return outcome


async def acall(task: Task) -> Outcome:
    """Await an ``async def`` handler, which is cancelled when its time is over."""
    try:
        async with ThreadSensitiveContext() as threads:
            try:
                args, kwargs = task.arguments()
                return task.completed(await task.step.func(*args, **kwargs))
            finally:
                # The context's own exit would wait for the thread, and the loop with it; and it closes no connection.
                thread = SyncToAsync.context_to_thread_executor.pop(threads, None)
                if thread is not None:
                    thread.submit(connections.close_all)
                    thread.shutdown(wait=False)
    except BaseException as error:
        return task.failed(error)
