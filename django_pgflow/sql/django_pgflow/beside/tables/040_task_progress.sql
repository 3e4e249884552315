-- How far tasks are, as objects/tables has it. Without a foreign key, which would put a trigger on the core's table:
-- what the core deletes, stays here.
create table django_pgflow.task_progress (
  run_id uuid not null,
  step_slug text not null,
  task_index integer not null,
  attempt integer not null,
  done double precision not null,
  total double precision,
  text text not null default '',
  updated_at timestamptz not null default now(),
  constraint task_progress_pkey primary key (run_id, step_slug, task_index),
  constraint attempt_is_positive check (attempt > 0)
)
with (fillfactor = 50);
