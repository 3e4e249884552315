-- What the core does not know of runs, as objects/tables has it. Without a foreign key, which would put a trigger on
-- the core's table: what the core deletes, stays here.
create table django_pgflow.run_details (
  run_id uuid not null,
  meta jsonb,
  restarted_from uuid,
  cancelled_at timestamptz,
  cancel_reason text,
  constraint run_details_pkey primary key (run_id),
  constraint something_is_said check (num_nonnulls(meta, restarted_from, cancelled_at) > 0),
  constraint cancel_reason_only_if_cancelled check (cancel_reason is null or cancelled_at is not null)
);
