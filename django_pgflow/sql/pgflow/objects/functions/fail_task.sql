-- Reports that an attempt failed, and returns the task as it is at the end; no row if there is none.
-- The task is queued again, later each time, or is failed when its attempts are used up. A late or repeated report
-- changes nothing. With worker_id or attempt given, neither does a report that is not of the current attempt.
create function pgflow.fail_task(
  run_id uuid,
  step_slug text,
  task_index integer,
  error_message text,
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
    run_ids => array[fail_task.run_id],
    step_slugs => array[fail_task.step_slug],
    task_indexes => array[fail_task.task_index],
    outcomes => array['failed'],
    error_messages => array[fail_task.error_message],
    attempts => array[fail_task.attempt],
    worker_id => fail_task.worker_id
  );
  return query
    select t.*
    from pgflow.step_tasks t
    where t.run_id = fail_task.run_id
      and t.step_slug = fail_task.step_slug
      and t.task_index = fail_task.task_index;
end;
$$;
