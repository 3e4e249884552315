-- Counts steps that have just been completed or skipped as done, for their dependents; their maps learn how many tasks
-- they have. Arrays in parallel, each step once.
-- Called wherever a step ends without failing its run. The caller has locked the runs.
create function pgflow._release_dependents(
  run_ids uuid[],
  step_slugs text[]
)
returns void
language plpgsql
set search_path to ''
as $$
begin
  update pgflow.step_states s
  set
    remaining_deps = s.remaining_deps - released.done_count,
    initial_tasks = coalesce(s.initial_tasks, released.elements_count)
  from (
    select
      parent.run_id,
      e.step_slug,
      count(*)::integer as done_count,
      -- A parent that was skipped, or had no tasks, contributes nothing.
      max(
        case
          when d.step_type <> 'map' then null
          when jsonb_typeof(parent.output) = 'array' then jsonb_array_length(parent.output)
          else 0
        end
      ) as elements_count
    from unnest(_release_dependents.run_ids, _release_dependents.step_slugs) as done (run_id, step_slug)
    join pgflow.step_states parent on parent.run_id = done.run_id and parent.step_slug = done.step_slug
    join pgflow.deps e on e.flow_slug = parent.flow_slug and e.dep_slug = parent.step_slug
    join pgflow.steps d on d.flow_slug = e.flow_slug and d.step_slug = e.step_slug
    group by parent.run_id, e.step_slug
  ) as released
  where s.run_id = released.run_id
    and s.step_slug = released.step_slug
    and s.status = 'created';
end;
$$;
