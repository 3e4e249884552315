-- Takes failed runs up again in place, cancelled ones too: finished tasks are kept, failed and cancelled ones are
-- queued with fresh attempts.
-- Returns each run with what became of it: resumed, not_found, not_failed, or condition (it failed by a condition,
-- which no retry can change).
-- Locks runs by id, then step states, then tasks, then queue rows.
create function django_pgflow.resume_runs(run_ids uuid[])
returns table (
  run_id uuid,
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
  where r.run_id = any (resume_runs.run_ids)
  order by r.run_id
  for no key update;

  select
    array_agg(judged.outcome order by judged.position),
    array_agg(distinct judged.run_id) filter (where judged.outcome = 'resumed')
  into v_outcomes, v_resumed_ids
  from (
    select
      given.position,
      given.run_id,
      case
        when r.run_id is null then 'not_found'
        when r.status <> 'failed' then 'not_failed'
        when django_pgflow._failed_by_condition(r.run_id) then 'condition'
        else 'resumed'
      end as outcome
    from unnest(resume_runs.run_ids) with ordinality as given (run_id, position)
    left join pgflow.runs r on r.run_id = given.run_id
  ) as judged;

  if v_resumed_ids is not null then
    perform django_pgflow._resume_runs(v_resumed_ids);
  end if;
  return query
    select given.run_id, given.outcome
    from unnest(resume_runs.run_ids, v_outcomes) as given (run_id, outcome);
end;
$$;
