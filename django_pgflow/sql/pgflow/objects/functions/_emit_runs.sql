-- Announces that runs were started, completed or failed, each with what the event of its status carries.
-- Called where a run changes its status, right after. Locks nothing.
create function pgflow._emit_runs(run_ids uuid[])
returns void
language plpgsql
set search_path to ''
as $$
begin
  if not pgflow._has_audience() then
    return;
  end if;
  perform pgflow._emit(
    array_agg(r.run_id order by changed.position),
    array_agg('run:' || r.status order by changed.position),
    array_agg(
      jsonb_build_object(
        'event_type', 'run:' || r.status, 'run_id', r.run_id, 'flow_slug', r.flow_slug, 'status', r.status
      )
      || case r.status
        when 'started' then jsonb_build_object(
          'input', r.input, 'remaining_steps', r.remaining_steps, 'started_at', r.started_at
        )
        when 'completed' then jsonb_build_object('output', r.output, 'completed_at', r.completed_at)
        else jsonb_build_object('failed_at', r.failed_at) || pgflow._run_error(r.run_id)
      end
      order by changed.position
    )
  )
  from unnest(_emit_runs.run_ids) with ordinality as changed (run_id, position)
  join pgflow.runs r on r.run_id = changed.run_id
  having count(*) > 0;
end;
$$;
