-- What the core does not know of runs, as objects/tables has it. Without a foreign key, which would put a trigger on
-- the core's table: what the core deletes, stays here.
create table django_pgflow.run_details (
  run_id uuid not null,
  meta jsonb,
  restarted_from uuid,
  parent_run_id uuid,
  parent_step_slug text,
  parent_task_index integer,
  cancelled_at timestamptz,
  cancel_reason text,
  constraint run_details_pkey primary key (run_id),
  constraint something_is_said check (num_nonnulls(meta, restarted_from, parent_run_id, cancelled_at) > 0),
  constraint parent_is_a_task check (num_nonnulls(parent_run_id, parent_step_slug, parent_task_index) in (0, 3)),
  constraint cancel_reason_only_if_cancelled check (cancel_reason is null or cancelled_at is not null)
);
