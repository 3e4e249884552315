"""pgflow 0.10 to 0.13.1: stalled tasks are never given back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from django_pgflow.db.core.external import ExternalCore
from django_pgflow.db.query import Query
from django_pgflow.db.records import TaskReport


class CoreV012(ExternalCore):
    """A task whose worker dies stays started for ever; ``pgflow_doctor`` lists such tasks."""

    def requeue_stalled_tasks(self) -> Query[int]:
        """Refuse: nothing gives them back."""
        raise self.not_supported("Giving back stalled tasks", "pgflow 0.13.2 or later")

    def settle(self, report: TaskReport) -> TaskReport | None:
        """Do as later cores do, but fail a task that is given back: nobody would find it stalled."""
        if report.outcome == "released":
            message = (
                report.error_message or "Interrupted: its worker was told to stop, and the core takes no task back"
            )
            return replace(report, outcome="failed", error_message=message)
        return super().settle(report)

    def has_work(self, flow_slugs: Sequence[str]) -> Query[bool]:
        """Do as later cores do; no task is known to be stalled for good."""
        return self._has_work(flow_slugs, "")
