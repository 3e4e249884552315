-- What the core does not know of runs. A row only for runs that have something to say here.
create table django_pgflow.run_details (
  run_id uuid not null,
  -- What the application noted when it started the run.
  meta jsonb,
  -- The run that this one repeats. It may be gone.
  restarted_from uuid,
  -- The task that started this run, of another run. It may be gone.
  parent_run_id uuid,
  parent_step_slug text,
  parent_task_index integer,
  -- A run that was cancelled is "failed" for the core.
  cancelled_at timestamptz,
  cancel_reason text,
  constraint run_details_pkey primary key (run_id),
  constraint run_details_run_id_fkey foreign key (run_id) references pgflow.runs (run_id) on delete cascade,
  constraint something_is_said check (num_nonnulls(meta, restarted_from, parent_run_id, cancelled_at) > 0),
  constraint parent_is_a_task check (num_nonnulls(parent_run_id, parent_step_slug, parent_task_index) in (0, 3)),
  constraint cancel_reason_only_if_cancelled check (cancel_reason is null or cancelled_at is not null)
);

-- From a run to those that repeat it.
create index idx_run_details_restarted_from on django_pgflow.run_details (restarted_from)
where restarted_from is not null;
-- From a run to those that its tasks started.
create index idx_run_details_parent_run_id on django_pgflow.run_details (parent_run_id)
where parent_run_id is not null;
