-- Decides the conditions of a run's ready steps until nothing more is skipped. Returns false if the run has failed.
-- Locks the run.
create function pgflow.cascade_resolve_conditions(run_id uuid)
returns boolean
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
  perform from pgflow.runs r where r.run_id = cascade_resolve_conditions.run_id for no key update;
  while pgflow._skip_unmet(array[cascade_resolve_conditions.run_id]) > 0 loop
  end loop;
  return not exists (
    select from pgflow.runs r where r.run_id = cascade_resolve_conditions.run_id and r.status = 'failed'
  );
end;
$$;
