-- Counts steps as ended, so many for each run, and completes the runs that have none left; a run's output has a key for
-- each completed leaf step. Arrays in parallel, each run once. Returns the runs that were counted down and go on.
-- Called by _move_steps, _advance and maybe_complete_run. The caller has locked the runs.
create function pgflow._complete_runs(
  run_ids uuid[],
  ended_counts integer[]
)
returns uuid[]
language plpgsql
set search_path to ''
as $$
declare
  v_run_ids uuid[];
  v_going_run_ids uuid[];
begin
  with counted as (
    update pgflow.runs r
    set
      remaining_steps = r.remaining_steps - ended.steps_count,
      status = case when r.remaining_steps = ended.steps_count then 'completed' else r.status end,
      completed_at = case when r.remaining_steps = ended.steps_count then greatest(now(), r.started_at) end,
      output = case
        when r.remaining_steps = ended.steps_count then (
          select jsonb_object_agg(s.step_slug, coalesce(s.output, 'null'))
          from pgflow.step_states s
          where s.run_id = r.run_id
            and s.status = 'completed'
            and not exists (
              select from pgflow.deps e where e.flow_slug = s.flow_slug and e.dep_slug = s.step_slug
            )
        )
      end
    from unnest(_complete_runs.run_ids, _complete_runs.ended_counts)
      with ordinality as ended (run_id, steps_count, position)
    where r.run_id = ended.run_id
      and r.status = 'started'
      and (ended.steps_count > 0 or r.remaining_steps = 0)
    returning r.run_id, r.status, ended.position
  )
  select
    array_agg(c.run_id order by c.position) filter (where c.status = 'completed'),
    array_agg(c.run_id order by c.position) filter (where c.status = 'started')
  into v_run_ids, v_going_run_ids
  from counted c;

  if v_run_ids is not null then
    perform pgflow._emit_runs(v_run_ids);
  end if;
  return coalesce(v_going_run_ids, '{}');
end;
$$;
