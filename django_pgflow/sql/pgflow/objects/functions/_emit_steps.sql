-- Announces that steps were started, completed, failed or skipped, each with what the event of its status carries.
-- Arrays in parallel, in the order of the events.
-- Called where a step changes its status, right after. Locks nothing.
create function pgflow._emit_steps(
  run_ids uuid[],
  step_slugs text[]
)
returns void
language plpgsql
set search_path to ''
as $$
begin
  if not pgflow._has_audience() then
    return;
  end if;
  perform pgflow._emit(
    array_agg(s.run_id order by changed.position),
    array_agg('step:' || s.step_slug || ':' || s.status order by changed.position),
    array_agg(
      jsonb_build_object(
        'event_type', 'step:' || s.status, 'run_id', s.run_id, 'step_slug', s.step_slug, 'status', s.status
      )
      || case s.status
        when 'started' then jsonb_build_object(
          'started_at', s.started_at, 'remaining_tasks', s.remaining_tasks, 'remaining_deps', s.remaining_deps
        )
        when 'completed' then jsonb_build_object(
          'started_at', s.started_at, 'completed_at', s.completed_at, 'remaining_tasks', s.remaining_tasks,
          'remaining_deps', s.remaining_deps, 'output', s.output
        )
        when 'failed' then jsonb_build_object('error_message', s.error_message, 'failed_at', s.failed_at)
        else jsonb_build_object(
          'flow_slug', s.flow_slug, 'skip_reason', s.skip_reason, 'skipped_at', s.skipped_at
        )
        || case
          when s.error_message is null then '{}'::jsonb else jsonb_build_object('error_message', s.error_message)
        end
      end
      order by changed.position
    )
  )
  from unnest(_emit_steps.run_ids, _emit_steps.step_slugs)
    with ordinality as changed (run_id, step_slug, position)
  join pgflow.step_states s on s.run_id = changed.run_id and s.step_slug = changed.step_slug
  having count(*) > 0;
end;
$$;
