-- Starts one run. With if_absent, a run of that id that exists already is returned instead, whatever became of it: an
-- idempotent start. With start_at no task can be claimed before that time. meta is kept with the run.
-- Locks only what it makes; waits for another that makes a run of the same id.
create function django_pgflow.start_flow(
  flow_slug text,
  input jsonb,
  run_id uuid default null,
  if_absent boolean default false,
  start_at timestamptz default null,
  meta jsonb default null
)
returns setof django_pgflow.start_record
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
  v_created boolean := true;
  v_constraint text;
begin
  if not start_flow.if_absent then
    perform pgflow._start_runs(start_flow.flow_slug, array[v_run_id], array[start_flow.input]);
  elsif exists (select from pgflow.runs r where r.run_id = v_run_id) then
    v_created := false;
  else
    begin
      perform pgflow._start_runs(start_flow.flow_slug, array[v_run_id], array[start_flow.input]);
    exception when unique_violation then
      get stacked diagnostics v_constraint = constraint_name;
      -- Someone else was first, and has committed; unless this transaction cannot see that, which only a new one can.
      if v_constraint <> 'runs_pkey' or not exists (select from pgflow.runs r where r.run_id = v_run_id) then
        raise;
      end if;
      v_created := false;
    end;
  end if;

  if v_created then
    if start_flow.meta is not null then
      insert into django_pgflow.run_details (run_id, meta) values (v_run_id, start_flow.meta);
    end if;
    perform django_pgflow._delay_runs(array[v_run_id], start_flow.start_at);
  elsif not exists (
    select from pgflow.runs r where r.run_id = v_run_id and r.flow_slug = start_flow.flow_slug
  ) then
    raise exception 'Run % exists already, and is not of flow %', v_run_id, start_flow.flow_slug
      using errcode = 'unique_violation', constraint = 'runs_pkey';
  end if;

  return query
    select
      r.run_id, r.flow_slug, r.status, r.input, r.output, r.remaining_steps, r.started_at, r.completed_at, r.failed_at,
      v_created
    from pgflow.runs r
    where r.run_id = v_run_id;
end;
$$;
