-- The outputs of a step's completed dependencies, as an object by slug; an absent output is JSON null.
-- Called by _unmet_steps and _claim_tasks. Locks nothing.
create function pgflow._dependency_outputs(
  flow_slug text,
  run_id uuid,
  step_slug text
)
returns jsonb
language plpgsql
stable
set search_path to ''
as $$
begin
  return (
    select coalesce(jsonb_object_agg(e.dep_slug, coalesce(parent.output, 'null')), '{}')
    from pgflow.deps e
    join pgflow.step_states parent on parent.run_id = _dependency_outputs.run_id and parent.step_slug = e.dep_slug
    where e.flow_slug = _dependency_outputs.flow_slug
      and e.step_slug = _dependency_outputs.step_slug
      and parent.status = 'completed'
  );
end;
$$;
