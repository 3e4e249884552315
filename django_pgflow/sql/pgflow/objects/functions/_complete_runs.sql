-- Completes the runs that have no step left; their output has a key for each completed leaf step.
-- Called by _advance and maybe_complete_run. The caller has locked the runs.
create function pgflow._complete_runs(run_ids uuid[])
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_run_ids uuid[];
begin
  with completed as (
    update pgflow.runs r
    set
      status = 'completed',
      completed_at = greatest(now(), r.started_at),
      output = (
        select jsonb_object_agg(s.step_slug, coalesce(s.output, 'null'))
        from pgflow.step_states s
        where s.run_id = r.run_id
          and s.status = 'completed'
          and not exists (
            select from pgflow.deps e where e.flow_slug = s.flow_slug and e.dep_slug = s.step_slug
          )
      )
    where r.run_id = any (_complete_runs.run_ids)
      and r.status = 'started'
      and r.remaining_steps = 0
    returning r.run_id
  )
  select array_agg(c.run_id) into v_run_ids from completed c;

  if v_run_ids is not null then
    perform pgflow._emit_runs(v_run_ids);
  end if;
end;
$$;
