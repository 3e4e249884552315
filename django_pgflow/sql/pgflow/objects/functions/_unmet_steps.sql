-- The ready steps of started runs whose condition is not met. Tested is the run's input for a root step, else the
-- outputs of the completed dependencies by slug.
-- Called by _skip_unmet. Locks nothing.
create function pgflow._unmet_steps(run_ids uuid[])
returns table (
  run_id uuid,
  step_slug text,
  step_index integer,
  when_unmet text
)
language sql
stable
set search_path to ''
as $$
  select s.run_id, s.step_slug, d.step_index, d.when_unmet
  from pgflow.step_states s
  join pgflow.runs r on r.run_id = s.run_id
  join pgflow.steps d on d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
  cross join lateral (
    select case
      when d.deps_count = 0 then r.input
      else pgflow._dependency_outputs(s.flow_slug, s.run_id, s.step_slug)
    end as value
  ) as tested
  where s.run_id = any (_unmet_steps.run_ids)
    and s.status = 'created'
    and s.remaining_deps = 0
    and r.status = 'started'
    and (d.required_input_pattern is not null or d.forbidden_input_pattern is not null)
    and not (
      (d.required_input_pattern is null or tested.value @> d.required_input_pattern)
      and (d.forbidden_input_pattern is null or not tested.value @> d.forbidden_input_pattern)
    )
$$;
