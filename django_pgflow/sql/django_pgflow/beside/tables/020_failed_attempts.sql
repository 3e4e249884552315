-- Attempts of tasks that failed, as objects/tables has them. Without a foreign key, which would put a trigger on the
-- core's table: what the core deletes, stays here. Written by the worker's reports, read by pages.
create table django_pgflow.failed_attempts (
  run_id uuid not null,
  step_slug text not null,
  task_index integer not null,
  attempt integer not null,
  worker_id uuid,
  started_at timestamptz not null,
  failed_at timestamptz not null,
  error_class text,
  error_message text,
  traceback text,
  constraint failed_attempts_pkey primary key (run_id, step_slug, task_index, attempt),
  constraint attempt_is_positive check (attempt > 0),
  constraint failed_at_is_after_started_at check (failed_at >= started_at)
);
