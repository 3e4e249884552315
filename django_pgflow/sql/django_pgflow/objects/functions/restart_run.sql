-- Starts a new run of the same flow, with the same input or another, linked to the old one and with its meta.
-- The old run is left as it is, ended or not. No row if there is no such run.
-- Locks only what it makes.
create function django_pgflow.restart_run(
  run_id uuid,
  input jsonb default null
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
  v_old pgflow.runs;
  v_new_id uuid := gen_random_uuid();
begin
  select r.* into v_old from pgflow.runs r where r.run_id = restart_run.run_id;
  if not found then
    return;
  end if;
  perform pgflow._start_runs(v_old.flow_slug, array[v_new_id], array[coalesce(restart_run.input, v_old.input)]);
  insert into django_pgflow.run_details (run_id, meta, restarted_from)
  select v_new_id, (select d.meta from django_pgflow.run_details d where d.run_id = v_old.run_id), v_old.run_id;
  return query select r.* from pgflow.runs r where r.run_id = v_new_id;
end;
$$;
