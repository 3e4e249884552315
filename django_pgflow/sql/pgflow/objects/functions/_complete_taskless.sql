-- Completes the ready steps that have no tasks (one wave), releases their dependents, and returns their number.
-- Called by _advance and cascade_complete_taskless_steps. The caller has locked the runs.
create function pgflow._complete_taskless(run_ids uuid[])
returns integer
language plpgsql
set search_path to ''
as $$
declare
  v_run_ids uuid[];
  v_step_slugs text[];
begin
  with completed as (
    update pgflow.step_states s
    set
      status = 'completed',
      started_at = greatest(now(), s.created_at),
      completed_at = greatest(now(), s.created_at),
      remaining_tasks = 0,
      output = case when d.step_type = 'map' then '[]'::jsonb end
    from pgflow.runs r, pgflow.steps d
    where s.run_id = any (_complete_taskless.run_ids)
      and s.status = 'created'
      and s.remaining_deps = 0
      and s.initial_tasks = 0
      and r.run_id = s.run_id
      and r.status = 'started'
      and d.flow_slug = s.flow_slug
      and d.step_slug = s.step_slug
    returning s.run_id, s.step_slug, d.step_index
  )
  select array_agg(c.run_id order by c.step_index), array_agg(c.step_slug order by c.step_index)
  into v_run_ids, v_step_slugs
  from completed c;

  if v_run_ids is null then
    return 0;
  end if;
  perform pgflow._emit_steps(v_run_ids, v_step_slugs);
  perform pgflow._release_dependents(v_run_ids, v_step_slugs);
  perform pgflow._count_down(v_run_ids);
  return cardinality(v_run_ids);
end;
$$;
