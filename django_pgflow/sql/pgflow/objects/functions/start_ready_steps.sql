-- Starts the steps of a run that are ready and have tasks. Harmless when called again.
-- Locks the run.
create function pgflow.start_ready_steps(run_id uuid)
returns void
language plpgsql
set search_path to ''
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set join_collapse_limit to 1
set jit to off
as $$
begin
  perform from pgflow.runs r where r.run_id = start_ready_steps.run_id for no key update;
  perform pgflow._start_steps(array[start_ready_steps.run_id]);
end;
$$;
