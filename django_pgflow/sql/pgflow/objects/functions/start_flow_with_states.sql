-- Starts one run as start_flow does, and returns the document of get_run_with_states.
create function pgflow.start_flow_with_states(
  flow_slug text,
  input jsonb,
  run_id uuid default null
)
returns jsonb
language plpgsql
security definer
set search_path to ''
as $$
declare
  v_run pgflow.runs;
begin
  select * into v_run
  from pgflow.start_flow(start_flow_with_states.flow_slug, start_flow_with_states.input, start_flow_with_states.run_id);
  return pgflow.get_run_with_states(v_run.run_id);
end;
$$;
