-- Makes runs of one flow with their step states, and moves them as far as they go without a worker.
-- Called by start_flow and django_pgflow.start_flows. Locks only what it makes.
create function pgflow._start_runs(
  flow_slug text,
  run_ids uuid[],
  inputs jsonb[]
)
returns void
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
declare
  v_steps_count integer;
  v_has_root_map boolean;
  v_is_direct boolean;
  v_type text;
  v_batch record;
begin
  select
    count(*),
    coalesce(bool_or(d.step_type = 'map' and d.deps_count = 0), false),
    coalesce(
      bool_and(d.deps_count > 0 or d.required_input_pattern is null and d.forbidden_input_pattern is null), false
    )
  into v_steps_count, v_has_root_map, v_is_direct
  from pgflow.steps d
  where d.flow_slug = _start_runs.flow_slug;

  if v_has_root_map then
    select coalesce(jsonb_typeof(i.input), 'NULL') into v_type
    from unnest(_start_runs.inputs) with ordinality as i (input, position)
    where jsonb_typeof(i.input) is distinct from 'array'
    order by i.position
    limit 1;
    if v_type = 'NULL' then
      raise exception 'Flow % has root map steps but input is NULL', _start_runs.flow_slug;
    elsif v_type is not null then
      raise exception 'Flow % has root map steps but input is not an array (got %)', _start_runs.flow_slug, v_type;
    end if;
    v_is_direct := v_is_direct and '[]'::jsonb <> all (_start_runs.inputs);
  end if;

  insert into pgflow.runs (flow_slug, run_id, input, remaining_steps)
  select _start_runs.flow_slug, new.run_id, new.input, v_steps_count
  from unnest(_start_runs.run_ids, _start_runs.inputs) as new (run_id, input);

  -- Where neither conditions nor empty maps have a say, the root steps are made as started: an update in the same
  -- transaction would check all foreign keys a second time.
  insert into pgflow.step_states (
    flow_slug, run_id, step_slug, status, started_at, remaining_deps, initial_tasks, remaining_tasks
  )
  select
    d.flow_slug,
    new.run_id,
    d.step_slug,
    case when root.starts then 'started' else 'created' end,
    case when root.starts then now() end,
    d.deps_count,
    tasks.tasks_count,
    case when root.starts then tasks.tasks_count end
  from unnest(_start_runs.run_ids, _start_runs.inputs) as new (run_id, input)
  cross join pgflow.steps d
  cross join lateral (select v_is_direct and d.deps_count = 0 as starts) as root
  cross join lateral (
    select case
      when d.step_type = 'single' then 1
      when d.deps_count = 0 then jsonb_array_length(new.input)
    end as tasks_count
  ) as tasks
  where d.flow_slug = _start_runs.flow_slug;

  perform pgflow._emit_runs(_start_runs.run_ids);
  if not v_is_direct then
    perform pgflow._advance(_start_runs.run_ids);
    return;
  end if;
  for v_batch in
    select
      coalesce(d.opt_start_delay, 0) as start_delay,
      array_agg(new.run_id order by new.position, d.step_slug) as run_ids,
      array_agg(d.step_slug order by new.position, d.step_slug) as step_slugs,
      array_agg(case when d.step_type = 'map' then new.input end order by new.position, d.step_slug) as elements
    from unnest(_start_runs.run_ids, _start_runs.inputs) with ordinality as new (run_id, input, position)
    cross join pgflow.steps d
    where d.flow_slug = _start_runs.flow_slug and d.deps_count = 0
    group by coalesce(d.opt_start_delay, 0)
    order by coalesce(d.opt_start_delay, 0)
  loop
    perform pgflow._emit_steps(v_batch.run_ids, v_batch.step_slugs);
    perform pgflow._queue_tasks(
      _start_runs.flow_slug, v_batch.start_delay, v_batch.run_ids, v_batch.step_slugs, v_batch.elements
    );
  end loop;
end;
$$;
