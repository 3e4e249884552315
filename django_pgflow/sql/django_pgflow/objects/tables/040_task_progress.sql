-- How far tasks are, as their handlers say: the latest word on each, from its latest attempt. Goes with its task.
-- Written by workers, about once a second. No index has a column that changes, so that its updates stay in place (HOT).
create table django_pgflow.task_progress (
  run_id uuid not null,
  step_slug text not null,
  task_index integer not null,
  attempt integer not null,
  done double precision not null,
  -- Unknown if absent.
  total double precision,
  text text not null default '',
  updated_at timestamptz not null default now(),
  constraint task_progress_pkey primary key (run_id, step_slug, task_index),
  constraint task_progress_task_fkey foreign key (run_id, step_slug, task_index)
    references pgflow.step_tasks (run_id, step_slug, task_index) on delete cascade,
  constraint attempt_is_positive check (attempt > 0)
)
with (fillfactor = 50);
