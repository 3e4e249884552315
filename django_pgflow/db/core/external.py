"""A core that others installed: pgflow 0.14 itself, used through its public functions alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django_pgflow.db.core.current import RUN_COLUMNS
from django_pgflow.db.core.one_by_one import OneByOneCore
from django_pgflow.db.query import Query
from django_pgflow.db.records import RetryRecord, RunOutcomeRecord, RunRecord, StartRecord


class ExternalCore(OneByOneCore):
    """pgflow 0.14: runs are started, and cannot be controlled."""

    def start_flows(
        self,
        flow_slug: str,
        inputs: Sequence[str],
        run_ids: Sequence[UUID | None] | None = None,
        *,
        delay: float | None = None,
        at: datetime | None = None,
        meta: str | None = None,
    ) -> Query[RunRecord]:
        """Start a run for each input, by ``pgflow.start_flow``, in one statement.

        Raises:
            NotSupported: There is a delay or a time.
        """
        self._refuse_options(delay, at, meta)
        return Query(
            sql=f"""
                with started as materialized (
                  select run.*, given.position
                  from unnest(%(inputs)s::text[]::jsonb[], %(run_ids)s::uuid[])
                    with ordinality as given (input, run_id, position)
                  cross join lateral pgflow.start_flow(
                    flow_slug => %(flow_slug)s, input => given.input,
                    run_id => coalesce(given.run_id, gen_random_uuid())
                  ) as run
                ){self._note(meta)}
                select {RUN_COLUMNS} from started order by position
            """,  # noqa: S608 - constants
            params={
                "flow_slug": flow_slug,
                "inputs": list(inputs),
                "run_ids": list(run_ids) if run_ids is not None else None,
                "meta": meta,
            },
            read=RunRecord.read,
        )

    def start_flow(
        self,
        flow_slug: str,
        input: str,
        *,
        run_id: UUID | None = None,
        if_absent: bool = False,
        delay: float | None = None,
        at: datetime | None = None,
        meta: str | None = None,
    ) -> Query[StartRecord]:
        """Start one run, by ``pgflow.start_flow``.

        Of two sessions that start a run of one id at the same moment, one gets a unique violation, even with
        ``if_absent``.

        Raises:
            NotSupported: There is a delay or a time.
        """
        self._refuse_options(delay, at, meta)
        return Query(
            sql=f"""
                with existing as materialized (
                  select {RUN_COLUMNS} from pgflow.runs where run_id = %(run_id)s::uuid and %(if_absent)s
                ),
                started as materialized (
                  select run.*
                  from (select 1 where not exists (select from existing)) as absent
                  cross join lateral pgflow.start_flow(
                    flow_slug => %(flow_slug)s, input => %(input)s::jsonb,
                    run_id => coalesce(%(run_id)s::uuid, gen_random_uuid())
                  ) as run
                ){self._note(meta)}
                select {RUN_COLUMNS}, false as created from existing
                union all
                select {RUN_COLUMNS}, true as created from started
            """,  # noqa: S608 - constants
            params={"flow_slug": flow_slug, "input": input, "run_id": run_id, "if_absent": if_absent, "meta": meta},
            read=StartRecord.read,
        )

    def cancel_runs(self, run_ids: Sequence[UUID], reason: str = "") -> Query[RunOutcomeRecord]:
        """Refuse: no public function cancels."""
        raise self.not_supported("Cancelling a run")

    def resume_runs(self, run_ids: Sequence[UUID]) -> Query[RunOutcomeRecord]:
        """Refuse: no public function resumes."""
        raise self.not_supported("Resuming a run")

    def restart_run(self, run_id: UUID, input: str | None = None) -> Query[RunRecord]:
        """Start a new run like another, by ``pgflow.start_flow``; the link is kept beside the core.

        Raises:
            NotSupported: There is no schema ``django_pgflow``.
        """
        self._need_schema("Restarting a run")
        return Query(
            sql=f"""
                with old as materialized (
                  select r.run_id, r.flow_slug, coalesce(%(input)s::jsonb, r.input) as input
                  from pgflow.runs r
                  where r.run_id = %(run_id)s
                ),
                started as materialized (
                  select run.*
                  from old
                  cross join lateral pgflow.start_flow(flow_slug => old.flow_slug, input => old.input) as run
                ),
                noted as (
                  insert into django_pgflow.run_details (run_id, meta, restarted_from)
                  select started.run_id, d.meta, old.run_id
                  from started
                  cross join old
                  left join django_pgflow.run_details d on d.run_id = old.run_id
                )
                select {RUN_COLUMNS} from started
            """,  # noqa: S608 - a constant
            params={"run_id": run_id, "input": input},
            read=RunRecord.read,
        )

    def retry_tasks(self, tasks: Sequence[tuple[UUID, str, int]]) -> Query[RetryRecord]:
        """Refuse: no public function retries a task that has failed for good."""
        raise self.not_supported("Retrying failed tasks")

    # -- parts

    def _refuse_options(self, delay: float | None, at: datetime | None, meta: str | None) -> None:
        if delay is not None or at is not None:
            raise self.not_supported("Starting a run later")
        if meta is not None:
            self._need_schema("Keeping a note with a run")

    @staticmethod
    def _note(meta: str | None) -> str:
        """Return what keeps a note with the runs that were started, in our own table."""
        if meta is None:
            return ""
        return """,
                noted as (
                  insert into django_pgflow.run_details (run_id, meta)
                  select started.run_id, %(meta)s::jsonb from started
                )"""
