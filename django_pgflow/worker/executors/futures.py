"""Any ``concurrent.futures.Executor``: a pool of the standard library, or a cluster."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import logging
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.utils.module_loading import import_string

from django_pgflow import conf
from django_pgflow.worker.executors import remote
from django_pgflow.worker.executors.base import Done
from django_pgflow.worker.executors.threads import CLOSING
from django_pgflow.worker.task import Outcome, Task

logger = logging.getLogger(__name__)

PAUSE = 5
"""Seconds until what an executor did not take is tried again."""

Future = concurrent.futures.Future[Outcome]


class FuturesExecutor:
    """Submits tasks to an executor of ``PGFLOW["EXECUTORS"]``, which is made at the first task.

    One that refuses a task, as a pool does after one of its processes has died, is made anew. What an executor does, it
    does in a thread of this object's own: a cluster may take its time.

    Args:
        name: The key in the setting.
        done: Takes what became of each task.
    """

    def __init__(self, name: str, done: Done) -> None:
        self._name = name
        self._done = done
        self._executor: concurrent.futures.Executor | None = None
        self._refused_until = 0.0
        self._calls: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._futures: dict[Task, Future | None] = {}
        self._abandoned: set[Task] = set()
        self._thread = threading.Thread(target=self._work, name=f"pgflow-{name}", daemon=True)
        self._thread.start()

    def start(self, task: Task) -> None:
        """Have a task submitted."""
        with self._lock:
            self._futures[task] = None
        self._calls.put(functools.partial(self._submit, task))

    def cancel(self, task: Task) -> None:
        """Do nothing: what has begun cannot be stopped."""

    def abandon(self, task: Task) -> None:
        """Withdraw a task if it has not begun, else leave it alone."""
        with self._lock:
            if task not in self._futures:
                return
            self._abandoned.add(task)
            future = self._futures[task]
        if future is not None:
            self._calls.put(future.cancel)

    def close(self) -> None:
        """Take leave of the executor."""
        self._calls.put(self._leave)
        self._calls.put(None)
        self._thread.join(CLOSING)

    def abandoned_count(self) -> int:
        """Return how many tasks may be running although nobody waits for them."""
        return len(self._abandoned)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception:
                logger.exception("Executor failed name=%s", self._name)
            del call

    def _submit(self, task: Task) -> None:
        with self._lock:
            if task in self._abandoned:
                self._forget(task)
                return
        try:
            future = self._submitted(remote.pack(task))
        except Exception as error:
            with self._lock:
                if not self._forget(task):
                    return
            fields = task.log_fields()
            logger.error(
                "Task given back, as its executor cannot be used flow=%s run=%s step=%s index=%d attempt=%d "
                "executor=%s error=%s",
                *fields.values(),
                self._name,
                error,
                extra=fields,
            )
            self._done(task, replace(task.released(), delay=PAUSE))
            return
        with self._lock:
            self._futures[task] = future
            is_wanted = task not in self._abandoned
        if not is_wanted:
            future.cancel()
        future.add_done_callback(functools.partial(self._ended, task))

    def _submitted(self, payload: bytes) -> Future:
        if self._executor is not None:
            try:
                return self._executor.submit(remote.execute, payload)
            except Exception as error:
                logger.warning("Executor refused a task, making it anew name=%s error=%s", self._name, error)
                self._leave()
        if time.monotonic() < self._refused_until:
            raise concurrent.futures.BrokenExecutor("it could not be made just now")
        try:
            self._executor = make(self._name)
        except Exception:
            self._refused_until = time.monotonic() + PAUSE
            raise
        return self._executor.submit(remote.execute, payload)

    def _ended(self, task: Task, future: Future) -> None:
        with self._lock:
            if not self._forget(task):
                return
        if future.cancelled():
            fields = task.log_fields()
            logger.warning(
                "Task given back, as its executor cancelled it flow=%s run=%s step=%s index=%d attempt=%d executor=%s",
                *fields.values(),
                self._name,
                extra=fields,
            )
            outcome = replace(task.released(), delay=PAUSE)
        elif error := future.exception():
            outcome = task.failed(error)
        else:
            outcome = future.result()
        self._done(task, outcome)

    def _forget(self, task: Task) -> bool:
        """Forget a task, and return whether its outcome is wanted. The lock is held."""
        self._futures.pop(task, None)
        if task not in self._abandoned:
            return True
        self._abandoned.discard(task)
        return False

    def _leave(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            with contextlib.suppress(Exception):  # it was broken
                executor.shutdown(wait=False)


def make(name: str) -> concurrent.futures.Executor:
    """Make an executor of ``PGFLOW["EXECUTORS"]``."""
    setting = conf.get().EXECUTORS[name]
    factory = import_string(setting["BACKEND"])
    options = dict(setting.get("OPTIONS", {}))
    if factory is concurrent.futures.ProcessPoolExecutor:
        # Before Python 3.14 it would fork a process that has threads.
        options.setdefault("mp_context", multiprocessing.get_context("spawn"))
    executor: concurrent.futures.Executor = factory(**options)
    return executor
