-- Step tasks under one text key, run_id/step_slug/task_index, for pages that name a row by one value (Django's admin).
-- Newest first is an order by run_started_at desc, run_id, step_slug, task_index: the index on the runs' start, then
-- the primary key of the tasks. Failed ones have an index of their own, on failed_at.
-- A key is looked up by its parts, never by the column key, which no index has. Read by django_pgflow.models.rows.
create view django_pgflow.step_task_rows as
select
  step_tasks.run_id::text || '/' || step_tasks.step_slug || '/' || step_tasks.task_index::text as key,
  step_tasks.flow_slug,
  step_tasks.run_id,
  step_tasks.step_slug,
  step_tasks.task_index,
  step_tasks.message_id,
  step_tasks.status,
  step_tasks.attempts_count,
  step_tasks.error_message,
  step_tasks.output,
  step_tasks.queued_at,
  step_tasks.started_at,
  step_tasks.completed_at,
  step_tasks.failed_at,
  step_tasks.last_worker_id,
  step_tasks.requeued_count,
  step_tasks.last_requeued_at,
  step_tasks.permanently_stalled_at,
  step_tasks.input,
  step_tasks.forgiven_count,
  runs.started_at as run_started_at
from pgflow.step_tasks
join pgflow.runs on runs.run_id = step_tasks.run_id;
