-- Retries failed tasks with fresh attempts: their runs go on from there, finished work is kept. The other tasks that
-- failed or were cancelled with a run go on with it, since the run cannot end without them. Arrays in parallel.
-- Returns each task with what became of it: queued, not_found, not_failed, run_not_failed or condition (the run failed
-- by a condition, which a retry cannot change).
-- Locks runs by id, then step states, then tasks, then queue rows.
create function django_pgflow.retry_tasks(
  run_ids uuid[],
  step_slugs text[],
  task_indexes integer[]
)
returns table (
  run_id uuid,
  step_slug text,
  task_index integer,
  outcome text
)
language plpgsql
set search_path to ''
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set join_collapse_limit to 1
set jit to off
as $$
#variable_conflict use_column
declare
  v_outcomes text[];
  v_resumed_ids uuid[];
begin
  perform from pgflow.runs r
  where r.run_id = any (retry_tasks.run_ids)
  order by r.run_id
  for no key update;

  select
    array_agg(judged.outcome order by judged.position),
    array_agg(distinct judged.run_id) filter (where judged.outcome = 'queued')
  into v_outcomes, v_resumed_ids
  from (
    select
      given.position,
      given.run_id,
      case
        when t.run_id is null then 'not_found'
        when t.status <> 'failed' then 'not_failed'
        when r.status <> 'failed' or s.status <> 'failed' then 'run_not_failed'
        when django_pgflow._failed_by_condition(t.run_id) then 'condition'
        else 'queued'
      end as outcome
    from unnest(retry_tasks.run_ids, retry_tasks.step_slugs, retry_tasks.task_indexes)
      with ordinality as given (run_id, step_slug, task_index, position)
    left join pgflow.step_tasks t
      on t.run_id = given.run_id and t.step_slug = given.step_slug and t.task_index = given.task_index
    left join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
    left join pgflow.runs r on r.run_id = t.run_id
  ) as judged;

  if v_resumed_ids is not null then
    perform django_pgflow._resume_runs(v_resumed_ids);
  end if;
  return query
    select given.run_id, given.step_slug, given.task_index, given.outcome
    from unnest(retry_tasks.run_ids, retry_tasks.step_slugs, retry_tasks.task_indexes, v_outcomes)
      as given (run_id, step_slug, task_index, outcome);
end;
$$;
