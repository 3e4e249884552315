"""A task away from its worker, in another process, here or on another machine: what goes there and what comes back.

What goes is text: names of flow and step, and JSON. The handler itself does not travel, the code must be there already.
What comes back is an ``Outcome`` of strings and numbers. So neither side needs to pickle what is not ours.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import django
from django.apps import apps
from django.utils import timezone

from django_pgflow import exceptions, registry
from django_pgflow.db.records import ExchangeRecord
from django_pgflow.dsl.context import WorkerInfo
from django_pgflow.worker import calling
from django_pgflow.worker import task as tasks
from django_pgflow.worker.control import DetachedControls
from django_pgflow.worker.task import Outcome, Task

_setting_up = threading.Lock()
_broken: list[BaseException] = []
"""What kept Django from being set up here. Tried twice, it says something else."""


def pack(task: Task) -> bytes:
    """Return what ``execute`` needs to know."""
    payload = {
        "settings": os.environ.get("DJANGO_SETTINGS_MODULE"),
        "record": vars(task.record),
        "flow_input": task.flow_input,
        "deadline": task.control.deadline.isoformat(),
        "worker": vars(task.control.worker),
        "using": task.control.using,
    }
    return json.dumps(payload, default=str).encode()  # str is for UUIDs


def execute(payload: bytes) -> Outcome:
    """Execute a task in this process, as a thread of its worker would do it there.

    Django is set up at the first task, with the settings of the worker unless ``DJANGO_SETTINGS_MODULE`` names others.
    """
    try:
        task = _unpack(json.loads(payload))
    except Exception as error:
        return _portable(
            Outcome(
                kind="failed",
                error_message=tasks.error_text(error),
                error_class=tasks.class_path(type(error)),
                traceback=tasks.traceback_text(error),
                exception=error,
                seconds=0.0,
            )
        )
    return _portable(calling.call(task))


def set_up(settings_module: str | None = None) -> None:
    """Set up Django, once in each process."""
    with _setting_up:
        if apps.ready:
            return
        if _broken:
            raise _broken[0]
        if settings_module:
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module)
        try:
            django.setup()
        except BaseException as error:
            _broken.append(error)
            raise


def _unpack(payload: dict[str, Any]) -> Task:
    set_up(payload["settings"])
    record = ExchangeRecord(**{**payload["record"], "run_id": UUID(payload["record"]["run_id"])})
    flow = registry.get(record.flow_slug)
    if record.step_slug not in flow.steps:
        raise LookupError(
            f"The flow {flow.slug!r} has no step {record.step_slug!r} here. "
            "Is the code here of another version than the worker's?"
        )
    worker = WorkerInfo(id=UUID(payload["worker"]["id"]), name=payload["worker"]["name"])
    controls = DetachedControls(worker, payload["using"])
    task = tasks.make(record, flow, flow.steps[record.step_slug], controls)
    task.control.begin((datetime.fromisoformat(payload["deadline"]) - timezone.now()).total_seconds())
    task.flow_input = payload["flow_input"]
    return task


def _portable(outcome: Outcome) -> Outcome:
    """Put an exception that can be pickled in place of the handler's, which need not be one."""
    if outcome.exception is None:
        return outcome
    error = exceptions.RemoteError(tasks.error_text(outcome.exception))
    if outcome.traceback:
        error.add_note(outcome.traceback)
    return replace(outcome, exception=error)
