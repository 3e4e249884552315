-- Step tasks under one text key, as objects/views has them. A column that the core lacks is NULL or 0: its name,
-- unqualified in the inner query, then means that of "absent" outside.
create view django_pgflow.step_task_rows as
select
  tasks.run_id::text || '/' || tasks.step_slug || '/' || tasks.task_index::text as key,
  tasks.flow_slug,
  tasks.run_id,
  tasks.step_slug,
  tasks.task_index,
  tasks.message_id,
  tasks.status,
  tasks.attempts_count,
  tasks.error_message,
  tasks.output,
  tasks.queued_at,
  tasks.started_at,
  tasks.completed_at,
  tasks.failed_at,
  tasks.last_worker_id,
  tasks.requeued_count,
  tasks.last_requeued_at,
  tasks.permanently_stalled_at,
  tasks.input,
  tasks.forgiven_count,
  runs.started_at as run_started_at
from (
  select
    0 as requeued_count, null::timestamptz as last_requeued_at, null::timestamptz as permanently_stalled_at,
    null::jsonb as input, 0 as forgiven_count
) as absent
cross join lateral (
  select
    flow_slug, run_id, step_slug, task_index, message_id, status, attempts_count, error_message, output, queued_at,
    started_at, completed_at, failed_at, last_worker_id, requeued_count, last_requeued_at, permanently_stalled_at,
    input, forgiven_count
  from pgflow.step_tasks
) as tasks
join pgflow.runs on runs.run_id = tasks.run_id;
