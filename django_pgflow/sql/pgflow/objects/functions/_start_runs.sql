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
  v_type text;
begin
  select count(*), coalesce(bool_or(d.step_type = 'map' and d.deps_count = 0), false)
  into v_steps_count, v_has_root_map
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
  end if;

  insert into pgflow.runs (flow_slug, run_id, input, remaining_steps)
  select _start_runs.flow_slug, new.run_id, new.input, v_steps_count
  from unnest(_start_runs.run_ids, _start_runs.inputs) as new (run_id, input);

  insert into pgflow.step_states (flow_slug, run_id, step_slug, remaining_deps, initial_tasks)
  select
    d.flow_slug,
    new.run_id,
    d.step_slug,
    d.deps_count,
    case
      when d.step_type = 'single' then 1
      when d.deps_count = 0 then jsonb_array_length(new.input)
    end
  from unnest(_start_runs.run_ids, _start_runs.inputs) as new (run_id, input)
  cross join pgflow.steps d
  where d.flow_slug = _start_runs.flow_slug;

  perform pgflow._emit_runs(_start_runs.run_ids);
  perform pgflow._advance(_start_runs.run_ids);
end;
$$;
