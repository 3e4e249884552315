-- A run with its step states as one document: {"run": {...}, "steps": [{...}, ...]}, steps in the order of the flow;
-- SQL NULL for an unknown run. Locks nothing.
create function pgflow.get_run_with_states(run_id uuid)
returns jsonb
language sql
security definer
set search_path to ''
as $$
  select jsonb_build_object(
    'run', to_jsonb(r),
    'steps', (
      select coalesce(jsonb_agg(to_jsonb(s) order by d.step_index), '[]')
      from pgflow.step_states s
      join pgflow.steps d on d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
      where s.run_id = r.run_id
    )
  )
  from pgflow.runs r
  where r.run_id = get_run_with_states.run_id
$$;
