-- Step states under one text key, as objects/views has them. A column that an older core lacks is NULL: its name,
-- unqualified in the inner query, then means that of "absent" outside.
create view django_pgflow.step_state_rows as
select
  states.run_id::text || '/' || states.step_slug as key,
  states.flow_slug,
  states.run_id,
  states.step_slug,
  steps.step_index,
  states.status,
  states.remaining_tasks,
  states.initial_tasks,
  states.remaining_deps,
  states.output,
  states.error_message,
  states.skip_reason,
  states.created_at,
  states.started_at,
  states.completed_at,
  states.failed_at,
  states.skipped_at,
  runs.started_at as run_started_at,
  runs.failed_at as run_failed_at
from (select null::jsonb as output, null::text as skip_reason, null::timestamptz as skipped_at) as absent
cross join lateral (
  select
    flow_slug, run_id, step_slug, status, remaining_tasks, initial_tasks, remaining_deps, output, error_message,
    skip_reason, created_at, started_at, completed_at, failed_at, skipped_at
  from pgflow.step_states
) as states
join pgflow.runs on runs.run_id = states.run_id
left join pgflow.steps on steps.flow_slug = states.flow_slug and steps.step_slug = states.step_slug;
