-- Step states under one text key, run_id/step_slug, for pages that name a row by one value (Django's admin).
-- Newest first is an order by run_started_at desc, run_id, step_slug: the index on the runs' start, then the
-- primary key of the states. A failed step has a failed run, so run_failed_at leads to it through an index.
-- A key is looked up by its parts, never by the column key, which no index has. Read by django_pgflow.models.rows.
create view django_pgflow.step_state_rows as
select
  step_states.run_id::text || '/' || step_states.step_slug as key,
  step_states.flow_slug,
  step_states.run_id,
  step_states.step_slug,
  steps.step_index,
  step_states.status,
  step_states.remaining_tasks,
  step_states.initial_tasks,
  step_states.remaining_deps,
  step_states.output,
  step_states.error_message,
  step_states.skip_reason,
  step_states.created_at,
  step_states.started_at,
  step_states.completed_at,
  step_states.failed_at,
  step_states.skipped_at,
  runs.started_at as run_started_at,
  runs.failed_at as run_failed_at
from pgflow.step_states
join pgflow.runs on runs.run_id = step_states.run_id
-- Left, so that a query that does not ask for step_index does not join.
left join pgflow.steps on steps.flow_slug = step_states.flow_slug and steps.step_slug = step_states.step_slug;
