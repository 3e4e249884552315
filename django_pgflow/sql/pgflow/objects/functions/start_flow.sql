-- Starts one run, and returns it as it is then: it may already have ended.
-- Locks only what it makes.
create function pgflow.start_flow(
  flow_slug text,
  input jsonb,
  run_id uuid default null
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
  v_run_id uuid := coalesce(start_flow.run_id, gen_random_uuid());
begin
  perform pgflow._start_runs(start_flow.flow_slug, array[v_run_id], array[start_flow.input]);
  return query select r.* from pgflow.runs r where r.run_id = v_run_id;
end;
$$;
