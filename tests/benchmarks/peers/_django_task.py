"""The task of ``django_tasks``, which can be imported when Django is set up only."""

from __future__ import annotations

try:
    from django.tasks import task
except ImportError:  # Django 5.2
    from django_tasks import task


@task()
def only() -> None: ...
