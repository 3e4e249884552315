"""What a database can do, asked of its catalog: which tables, columns and functions are there, never which version.

The catalog can be read without any right on the schemas that it describes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django_pgflow.db.query import Query

INSTALLED_MARK = "Installed by django-pgflow."
"""The comment on each schema that our migrations make; what bears it may be removed again."""

SCHEMAS = ("pgflow", "django_pgflow", "pgmq", "realtime")


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What was found.

    Attributes:
        marks: The comment on each schema of ``SCHEMAS`` that is there; ``""`` for none.
        columns: Columns of tables and attributes of types, ``"pgflow.flows.flow_slug"``.
        functions: ``"pgflow.start_tasks(text, bigint[], uuid)"``.
        results: The same for the columns that functions return, ``"pgflow.set_vt_batch.headers"``.
        reads_auth_secret: Whether ``pgflow.ensure_workers`` knows the secret ``pgflow_auth_secret``.
    """

    marks: dict[str, str]
    columns: frozenset[str]
    functions: frozenset[str]
    results: frozenset[str]
    reads_auth_secret: bool

    @classmethod
    def read(cls, row: dict[str, Any]) -> Capabilities:
        """Make an object of the row that ``probe`` gives."""
        return cls(
            marks=dict(zip(row["schemas"], row["comments"], strict=True)),
            columns=frozenset(row["columns"]),
            functions=frozenset(row["functions"]),
            results=frozenset(row["results"]),
            reads_auth_secret=row["reads_auth_secret"],
        )

    # -- what is there

    @property
    def is_installed(self) -> bool:
        """Whether there is any core."""
        return "pgflow.flows.flow_slug" in self.columns

    @property
    def is_ours(self) -> bool:
        """Whether our migrations made the schema ``pgflow``."""
        return self.marks.get("pgflow") == INSTALLED_MARK

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else made the schema ``pgflow``, be it a core or not."""
        return "pgflow" in self.marks and not self.is_ours

    @property
    def is_beside(self) -> bool:
        """Whether the schema ``django_pgflow`` is there, and ours."""
        return self.marks.get("django_pgflow") == INSTALLED_MARK

    # -- what it can do

    @property
    def has_maps(self) -> bool:
        """Claiming in two phases, and map steps; the least that we can work with."""
        return (
            "pgflow.start_tasks(text, bigint[], uuid)" in self.functions
            and "pgflow.start_flow(text, jsonb, uuid)" in self.functions
            and "pgflow.step_states.initial_tasks" in self.columns
        )

    @property
    def has_compilation(self) -> bool:
        """Deleting a flow with its data, comparing shapes, and a worker's end."""
        return "pgflow.delete_flow_and_data(text)" in self.functions

    @property
    def has_worker_end(self) -> bool:
        """Noting that a worker has stopped."""
        return "pgflow.mark_worker_stopped(uuid)" in self.functions

    @property
    def has_requeue(self) -> bool:
        """Giving back the tasks of workers that fell silent."""
        return "pgflow.requeue_stalled_tasks()" in self.functions

    @property
    def has_conditions(self) -> bool:
        """Conditions on input, and skipping."""
        return "pgflow.steps.required_input_pattern" in self.columns

    # -- what it is called

    @property
    def version(self) -> tuple[str | None, str | None]:
        """The first version that has all that was found, and the first one that has more; None if there is none."""
        since = None
        for version, holds in VERSIONS:
            if not holds(self):
                return since, version
            since = version
        return since, None

    @property
    def version_name(self) -> str:
        """The same for people: ``"pgflow 0.7.0 or later, before 0.8.0"``."""
        since, before = self.version
        if since is None:
            return "no pgflow core"
        return f"pgflow {since} or later" + (f", before {before}" if before else "")

    @property
    def pgmq_level(self) -> str | None:
        """``"before 1.5.0"``, ``"1.5.0 or 1.5.1"`` or ``"1.5.2 or later"``; None without pgmq."""
        if "pgmq.message_record.msg_id" not in self.columns:
            return None
        if "pgmq.message_record.headers" not in self.columns:
            return "before 1.5.0"
        return "1.5.2 or later" if "pgmq.acquire_queue_lock(text)" in self.functions else "1.5.0 or 1.5.1"


def probe() -> Query[Capabilities]:
    """Ask the catalog."""
    return Query(
        sql="""
            with schemas as (
              select oid, nspname::text as name, coalesce(obj_description(oid, 'pg_namespace'), '') as comment
              from pg_catalog.pg_namespace
              where nspname = any(%(schemas)s::text[])
            ),
            functions as (
              select s.name || '.' || p.proname as name, oidvectortypes(p.proargtypes) as arguments, p.prosrc,
                p.proargnames, p.proargmodes
              from schemas s
              join pg_catalog.pg_proc p on p.pronamespace = s.oid
            )
            select
              array(select name from schemas order by name) as schemas,
              array(select comment from schemas order by name) as comments,
              array(
                select s.name || '.' || c.relname || '.' || a.attname
                from schemas s
                join pg_catalog.pg_class c on c.relnamespace = s.oid and c.relkind in ('r', 'p', 'v', 'c')
                join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                where s.name <> 'pgmq' or c.relkind = 'c'
              ) as columns,
              array(select name || '(' || arguments || ')' from functions) as functions,
              array(
                select f.name || '.' || f.proargnames[i]
                from functions f, generate_subscripts(f.proargmodes, 1) as i
                where f.proargmodes[i] in ('o', 't')
              ) as results,
              exists (
                select from functions
                where name = 'pgflow.ensure_workers' and prosrc like '%%pgflow_auth_secret%%'
              ) as reads_auth_secret
        """,
        params={"schemas": list(SCHEMAS)},
        read=Capabilities.read,
    )


def _column(*names: str) -> Callable[[Capabilities], bool]:
    return lambda found: found.columns.issuperset(f"pgflow.{name}" for name in names)


def _function(*names: str) -> Callable[[Capabilities], bool]:
    return lambda found: found.functions.issuperset(f"pgflow.{name}" for name in names)


# In order of time. A version is only told by what it added; versions without a row added nothing that can be seen.
VERSIONS: tuple[tuple[str, Callable[[Capabilities], bool]], ...] = (
    ("0.1", _column("flows.flow_slug", "runs.run_id", "step_states.run_id", "step_tasks.run_id")),
    ("0.3.0", _column("step_tasks.started_at")),
    ("0.3.1", _function("set_vt_batch(text, bigint[], integer[])")),
    ("0.4.0", _function("start_flow(text, jsonb, uuid)")),
    ("0.5.3", _column("steps.opt_start_delay")),
    ("0.6.0", _column("workers.deprecated_at")),
    ("0.7.0", _column("step_states.initial_tasks", "step_task_record.task_index")),
    (
        "0.8.0",
        lambda found: (
            "pgflow.set_vt_batch.headers" in found.results
            and not any(name.startswith("pgflow.read_with_poll(") for name in found.functions)
        ),
    ),
    ("0.10.0", _column("worker_functions.function_name", "workers.stopped_at")),
    ("0.11.0", _function("ensure_flow_compiled(text, jsonb, boolean)")),
    ("0.12.0", _column("step_task_record.flow_input")),
    ("0.13.1", _column("step_states.output")),
    ("0.13.2", _function("requeue_stalled_tasks()")),
    ("0.13.3", lambda found: found.reads_auth_secret or found.has_conditions),
    ("0.14.0", _column("steps.required_input_pattern", "step_states.skip_reason")),
)
