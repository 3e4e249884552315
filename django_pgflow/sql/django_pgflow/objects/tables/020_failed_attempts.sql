-- Every attempt of a task that failed, whether it was retried or not. Goes with its task.
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
  constraint failed_attempts_task_fkey foreign key (run_id, step_slug, task_index)
    references pgflow.step_tasks (run_id, step_slug, task_index) on delete cascade,
  constraint attempt_is_positive check (attempt > 0),
  constraint failed_at_is_after_started_at check (failed_at >= started_at)
);
