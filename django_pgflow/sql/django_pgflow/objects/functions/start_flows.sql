-- Starts a run for each input, and returns the runs in the order of the inputs; they may already have ended. start_at
-- and meta as in start_flow, for all of them.
create function django_pgflow.start_flows(
  flow_slug text,
  inputs jsonb[],
  run_ids uuid[] default null,
  start_at timestamptz default null,
  meta jsonb default null
)
returns setof pgflow.runs
language plpgsql
set search_path to ''
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set join_collapse_limit to 1
set jit to off
as $$
declare
  v_run_ids uuid[] := array(
    select coalesce(given.run_id, gen_random_uuid())
    from unnest(start_flows.inputs, start_flows.run_ids) with ordinality as given (input, run_id, position)
    order by given.position
  );
begin
  if cardinality(start_flows.run_ids) <> cardinality(start_flows.inputs) then
    raise exception 'run_ids length (%) must equal inputs length (%)',
      cardinality(start_flows.run_ids), cardinality(start_flows.inputs);
  end if;
  perform pgflow._start_runs(start_flows.flow_slug, v_run_ids, start_flows.inputs);
  if start_flows.meta is not null then
    insert into django_pgflow.run_details (run_id, meta)
    select started.run_id, start_flows.meta from unnest(v_run_ids) as started (run_id);
  end if;
  perform django_pgflow._delay_runs(v_run_ids, start_flows.start_at);
  return query
    select r.*
    from unnest(v_run_ids) with ordinality as started (run_id, position)
    join pgflow.runs r on r.run_id = started.run_id
    order by started.position;
end;
$$;
