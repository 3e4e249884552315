"""Django signals that a worker sends; its log lines hang on them.

Every signal comes from the process that executed the task, out of one thread of its own, with Django's database
connections open to it; so a receiver may use the ORM, and a slow one delays only the others. They are best effort: a
worker that is killed sends nothing. ``sender`` is the flow (``django_pgflow.Flow``), so that
``@receiver(task_failed, sender=my_flow)`` hears of one flow only.

All have ``task``, a ``worker.task.Task``: ``task.context`` says run, step, index and attempt, ``task.log_fields()``
the same as a dict.
"""

from __future__ import annotations

from django.dispatch import Signal

task_started = Signal()
"""A handler is about to be called."""

task_completed = Signal()
"""A task's output is in the database. Also: ``seconds``."""

task_failed = Signal()
"""A task's failure is in the database. Also: ``seconds``, ``error_message``, ``exception`` (None after a timeout) and
``will_retry``, which is False where this was the last attempt."""
