-- Reports that a task is done, and returns the task as it is at the end; no row if there is none.
-- A late or repeated report changes nothing. With worker_id or attempt given, a report that is not of the current
-- attempt changes nothing either.
create function pgflow.complete_task(
  run_id uuid,
  step_slug text,
  task_index integer,
  output jsonb,
  worker_id uuid default null,
  attempt integer default null
)
returns setof pgflow.step_tasks
language plpgsql
set search_path to ''
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set join_collapse_limit to 1
set jit to off
as $$
begin
  perform pgflow._report_tasks(
    run_ids => array[complete_task.run_id],
    step_slugs => array[complete_task.step_slug],
    task_indexes => array[complete_task.task_index],
    outcomes => array['completed'],
    outputs => array[complete_task.output],
    attempts => array[complete_task.attempt],
    worker_id => complete_task.worker_id
  );
  return query
    select t.*
    from pgflow.step_tasks t
    where t.run_id = complete_task.run_id
      and t.step_slug = complete_task.step_slug
      and t.task_index = complete_task.task_index;
end;
$$;
