-- Moves runs as far as they go without a worker: decides conditions and completes taskless steps until neither
-- changes anything, then starts what is ready and ends the runs that have nothing left.
-- Called after steps ended or runs were made. The caller has locked the runs.
create function pgflow._advance(run_ids uuid[])
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_has_conditions boolean;
  v_has_taskless boolean;
  v_has_tasks boolean;
  v_has_ended boolean;
begin
  -- Every pass but the last ends a step, so there are at most as many passes as steps.
  loop
    select
      coalesce(bool_or(ready.has_condition), false),
      coalesce(bool_or(ready.initial_tasks = 0), false),
      coalesce(bool_or(ready.initial_tasks > 0), false),
      coalesce(bool_or(r.remaining_steps = 0), false)
    into v_has_conditions, v_has_taskless, v_has_tasks, v_has_ended
    from unnest(_advance.run_ids) as given (run_id)
    join pgflow.runs r on r.run_id = given.run_id
    left join lateral (
      select
        s.initial_tasks,
        d.required_input_pattern is not null or d.forbidden_input_pattern is not null as has_condition
      from pgflow.step_states s
      join pgflow.steps d on d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
      where s.run_id = r.run_id
        and s.status = 'created'
        and s.remaining_deps = 0
    ) as ready on true
    where r.status = 'started';

    continue when v_has_conditions and pgflow._skip_unmet(_advance.run_ids) > 0;
    exit when not v_has_taskless or pgflow._complete_taskless(_advance.run_ids) = 0;
  end loop;
  if v_has_tasks then
    perform pgflow._start_steps(_advance.run_ids);
  end if;
  -- The last conditions may have skipped all that was left.
  if v_has_ended or v_has_conditions then
    perform pgflow._complete_runs(_advance.run_ids, array_fill(0, array[cardinality(_advance.run_ids)]));
  end if;
end;
$$;
