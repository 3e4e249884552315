-- Units of work. Each has one queue message for life, until it ends.
create table pgflow.step_tasks (
  flow_slug text not null,
  run_id uuid not null,
  step_slug text not null,
  message_id bigint,
  task_index integer not null default 0,
  status text not null default 'queued',
  attempts_count integer not null default 0,
  error_message text,
  output jsonb,
  queued_at timestamptz not null default now(),
  started_at timestamptz,
  completed_at timestamptz,
  failed_at timestamptz,
  last_worker_id uuid,
  requeued_count integer not null default 0,
  last_requeued_at timestamptz,
  permanently_stalled_at timestamptz,
  -- Ours: the element of a map task, so that claiming one task does not read the whole array.
  input jsonb,
  -- Ours: attempts that do not count against the maximum, because they were given back or came before a retry by
  -- hand. attempts_count itself only grows, so that it names one claim for ever.
  forgiven_count integer not null default 0,
  -- Ours: until when a worker asked to be left with the task, beyond its timeout.
  extended_until timestamptz,
  constraint step_tasks_pkey primary key (run_id, step_slug, task_index),
  constraint step_tasks_flow_slug_fkey foreign key (flow_slug) references pgflow.flows (flow_slug),
  constraint step_tasks_run_id_fkey foreign key (run_id) references pgflow.runs (run_id),
  constraint step_tasks_run_id_step_slug_fkey foreign key (run_id, step_slug)
    references pgflow.step_states (run_id, step_slug),
  constraint step_tasks_last_worker_id_fkey foreign key (last_worker_id)
    references pgflow.workers (worker_id) on delete set null,
  constraint valid_status check (status in ('queued', 'started', 'completed', 'failed', 'skipped', 'cancelled')),
  constraint output_valid_only_for_completed check (output is null or status in ('completed', 'failed')),
  constraint attempts_count_nonnegative check (attempts_count >= 0),
  constraint forgiven_count_is_part_of_attempts_count check (forgiven_count between 0 and attempts_count),
  constraint completed_at_or_failed_at check (completed_at is null or failed_at is null),
  constraint completed_at_is_after_queued_at check (completed_at is null or completed_at >= queued_at),
  constraint failed_at_is_after_queued_at check (failed_at is null or failed_at >= queued_at),
  constraint started_at_is_after_queued_at check (started_at is null or started_at >= queued_at),
  constraint completed_at_is_after_started_at check (completed_at is null or completed_at >= started_at),
  constraint failed_at_is_after_started_at check (failed_at is null or failed_at >= started_at)
)
with (fillfactor = 50);

-- From a message to its task. No index has a column that changes while a task goes well, so that its
-- updates stay in place (HOT).
create index idx_step_tasks_message_id on pgflow.step_tasks (flow_slug, message_id);
-- Failed tasks, newest first.
create index idx_step_tasks_failed_at on pgflow.step_tasks (failed_at desc) where failed_at is not null;
