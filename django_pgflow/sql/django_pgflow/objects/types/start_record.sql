-- What start_flow returns: the run as it is after the call, and whether this call made it.
create type django_pgflow.start_record as (
  run_id uuid,
  flow_slug text,
  status text,
  input jsonb,
  output jsonb,
  remaining_steps integer,
  started_at timestamptz,
  completed_at timestamptz,
  failed_at timestamptz,
  created boolean
);
