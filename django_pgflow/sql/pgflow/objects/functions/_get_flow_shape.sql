-- The shape of a flow as it is stored: {"steps": [...]} in the order of the steps, dependencies sorted, no options.
-- An unknown flow has no steps.
create function pgflow._get_flow_shape(p_flow_slug text)
returns jsonb
language sql
stable
set search_path to ''
as $$
  select jsonb_build_object(
    'steps',
    coalesce(
      jsonb_agg(
        jsonb_build_object(
          'slug', d.step_slug,
          'stepType', d.step_type,
          'dependencies', (
            select coalesce(jsonb_agg(e.dep_slug order by e.dep_slug collate "C"), '[]')
            from pgflow.deps e
            where e.flow_slug = d.flow_slug and e.step_slug = d.step_slug
          ),
          'whenUnmet', d.when_unmet,
          'whenExhausted', d.when_exhausted,
          'requiredInputPattern', pgflow._wrap_pattern(d.required_input_pattern),
          'forbiddenInputPattern', pgflow._wrap_pattern(d.forbidden_input_pattern)
        )
        order by d.step_index
      ),
      '[]'
    )
  )
  from pgflow.steps d
  where d.flow_slug = p_flow_slug
$$;
