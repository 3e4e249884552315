-- Completes the ready steps of a run that have no tasks, and those that this makes ready, and so on.
-- Returns their number. Locks the run.
create function pgflow.cascade_complete_taskless_steps(run_id uuid)
returns integer
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
  v_wave_count integer;
  v_total_count integer := 0;
begin
  perform from pgflow.runs r where r.run_id = cascade_complete_taskless_steps.run_id for no key update;
  loop
    v_wave_count := pgflow._complete_taskless(array[cascade_complete_taskless_steps.run_id]);
    exit when v_wave_count = 0;
    v_total_count := v_total_count + v_wave_count;
  end loop;
  return v_total_count;
end;
$$;
