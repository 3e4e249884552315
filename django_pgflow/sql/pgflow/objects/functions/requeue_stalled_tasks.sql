-- Gives back the tasks whose worker fell silent: started for longer than their timeout plus 30 seconds. After three
-- times a task is failed for good, as if its attempts were used up. Returns how many were given back.
-- Called by any scheduler; several at once do no harm. Locks as _give_back_tasks.
create function pgflow.requeue_stalled_tasks()
returns integer
language plpgsql
security definer
set search_path to ''
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set join_collapse_limit to 1
set jit to off
as $$
declare
  v_run_ids uuid[];
  v_step_slugs text[];
  v_task_indexes integer[];
begin
  select array_agg(stalled.run_id), array_agg(stalled.step_slug), array_agg(stalled.task_index)
  into v_run_ids, v_step_slugs, v_task_indexes
  from pgflow._stalled_tasks() stalled;
  if v_run_ids is null then
    return 0;
  end if;
  return pgflow._give_back_tasks(
    v_run_ids, v_step_slugs, v_task_indexes,
    forgiving => false,
    most_requeues => 3,
    reason => 'Stalled: its worker fell silent, and the task had been given back three times before'
  );
end;
$$;
