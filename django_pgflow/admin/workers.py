"""Workers, alive, dead and stopped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db import connections
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from django_pgflow import conf, models
from django_pgflow.admin import base, display, filters
from django_pgflow.admin.base import column
from django_pgflow.db.database import Database
from django_pgflow.db.query import Query

LOOKED_AT = 10_000
"""Messages of each queue, the oldest, among which tasks in work are looked for."""


def queues(slugs: Iterable[str], alias: str) -> list[str]:
    """Return those of the flows that have a queue."""
    query = Query(
        sql="select queue_name from pgmq.list_queues() where queue_name = any(%(slugs)s::text[])",
        params={"slugs": list(slugs)},
        read=lambda row: str(row["queue_name"]),
    )
    return Database(alias).run(query)


def tasks_in_work(slugs: Iterable[str], alias: str) -> dict[UUID, int]:
    """Count the tasks that each worker has in work.

    No index leads from a worker to its tasks, on purpose: it would change with every task. The messages of tasks that
    have not ended are still in the queues, and few compared with the history; they lead there.
    """
    quote = connections[alias].ops.quote_name
    names = queues(slugs, alias)
    if not names:
        return {}
    messages = " union all ".join(
        f"(select %(slug_{number})s::text as flow_slug, msg_id from pgmq.{quote('q_' + name.lower())} "  # noqa: S608 - quoted
        f"order by msg_id limit {LOOKED_AT})"
        for number, name in enumerate(names)
    )
    query = Query(
        sql=f"select last_worker_id, count(*) as tasks from ({messages}) messages "  # noqa: S608 - as above
        "join pgflow.step_tasks on step_tasks.flow_slug = messages.flow_slug "
        "and step_tasks.message_id = messages.msg_id "
        "where step_tasks.status = 'started' and last_worker_id is not null group by last_worker_id",
        params={f"slug_{number}": name for number, name in enumerate(names)},
        read=lambda row: (row["last_worker_id"], int(row["tasks"])),
    )
    return dict(Database(alias).run(query))


@admin.register(models.Worker)
class WorkerAdmin(base.PgflowAdmin):
    """Worker processes, those that gave a sign of life last first."""

    list_display = ("function_name", "badge", "heartbeat", "flows", "in_work", "started")
    list_filter = (filters.WorkerStateFilter,)
    fields = (
        "worker_id",
        "function_name",
        "badge",
        "flows",
        "in_work",
        "started_at",
        "heartbeat",
        "last_heartbeat_at",
        "deprecated_at",
        "stopped_at",
    )
    readonly_fields = fields

    def complete(self, rows: list[Any]) -> list[Any]:
        """Count the tasks of the workers on the page."""
        running = [row for row in rows if row.stopped_at is None]
        slugs = {slug for row in running for slug in row.flow_slugs}
        counts = tasks_in_work(sorted(slugs), conf.get().DATABASE)
        for row in rows:
            row.tasks_in_work = counts.get(row.worker_id, 0)
        return rows

    @column(_("state"))
    def badge(self, row: models.Worker) -> Any:
        """Show whether it lives."""
        words = {"alive": _("alive"), "dead": _("dead"), "stopped": _("stopped")}
        return display.status(row.state, str(words[row.state]))

    @column(_("last sign of life"))
    def heartbeat(self, row: models.Worker) -> str:
        """Show how long ago it gave a sign of life."""
        return str(_("%(duration)s ago") % {"duration": display.duration(row.heartbeat_age)})

    @column(_("started"))
    def started(self, row: models.Worker) -> Any:
        """Show when it started."""
        return display.moment(row.started_at)

    @column(_("flows"))
    def flows(self, row: models.Worker) -> Any:
        """Link to the flows that it serves."""
        links = ((reverse("admin:pgflow_flow_change", args=[slug]), slug) for slug in row.flow_slugs)
        return format_html_join(", ", '<a href="{}">{}</a>', links) or display.EMPTY

    @column(_("tasks in work"))
    def in_work(self, row: Any) -> int:
        """Show how many tasks it has."""
        if not hasattr(row, "tasks_in_work"):
            self.complete([row])
        return int(row.tasks_in_work)
