-- Executions of flows.
create table pgflow.runs (
  run_id uuid not null default gen_random_uuid(),
  flow_slug text not null,
  status text not null default 'started',
  input jsonb not null,
  output jsonb,
  remaining_steps integer not null default 0,
  started_at timestamptz not null default now(),
  completed_at timestamptz,
  failed_at timestamptz,
  constraint runs_pkey primary key (run_id),
  constraint runs_flow_slug_fkey foreign key (flow_slug) references pgflow.flows (flow_slug),
  constraint status_is_valid check (status in ('started', 'completed', 'failed')),
  constraint runs_remaining_steps_check check (remaining_steps >= 0),
  constraint completed_at_or_failed_at check (completed_at is null or failed_at is null),
  constraint completed_at_is_after_started_at check (completed_at is null or completed_at >= started_at),
  constraint failed_at_is_after_started_at check (failed_at is null or failed_at >= started_at)
)
with (fillfactor = 70);

-- No index has a column that changes while a run goes well, so that its updates stay in place (HOT).
-- The run lists, newest first, of all flows and of one.
create index idx_runs_started_at on pgflow.runs (started_at desc, run_id);
create index idx_runs_flow_slug on pgflow.runs (flow_slug, started_at desc);
-- Failed runs, newest first.
create index idx_runs_failed_at on pgflow.runs (failed_at desc) where failed_at is not null;
