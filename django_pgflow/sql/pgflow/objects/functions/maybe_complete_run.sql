-- Completes a run that has no step left. Harmless when called again.
-- Locks the run.
create function pgflow.maybe_complete_run(run_id uuid)
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
  perform from pgflow.runs r where r.run_id = maybe_complete_run.run_id for no key update;
  perform pgflow._complete_runs(array[maybe_complete_run.run_id], array[0]);
end;
$$;
