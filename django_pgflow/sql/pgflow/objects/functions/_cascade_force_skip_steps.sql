-- Skips a step of a run with all that depends on it, and returns how many were skipped. Neither completes the run
-- nor starts anything. Locks the run.
create function pgflow._cascade_force_skip_steps(
  run_id uuid,
  step_slug text,
  skip_reason text
)
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
begin
  perform from pgflow.runs r where r.run_id = _cascade_force_skip_steps.run_id for no key update;
  if not found then
    raise exception 'Run not found: %', _cascade_force_skip_steps.run_id;
  end if;
  return pgflow._skip_cascade(
    array[_cascade_force_skip_steps.run_id],
    array[_cascade_force_skip_steps.step_slug],
    array[_cascade_force_skip_steps.skip_reason]
  );
end;
$$;
