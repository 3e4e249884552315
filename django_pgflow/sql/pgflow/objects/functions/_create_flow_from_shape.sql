-- Creates a flow with its steps from a shape; options that the shape does not give are the defaults, or inherited.
-- Called by ensure_flow_compiled.
create function pgflow._create_flow_from_shape(
  p_flow_slug text,
  p_shape jsonb
)
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_given record;
begin
  perform pgflow.create_flow(
    flow_slug => p_flow_slug,
    max_attempts => (p_shape -> 'options' ->> 'maxAttempts')::integer,
    base_delay => (p_shape -> 'options' ->> 'baseDelay')::integer,
    timeout => (p_shape -> 'options' ->> 'timeout')::integer
  );
  for v_given in
    select s.step, s.dependencies, s.step -> 'options' as options
    from pgflow._shape_steps(p_shape) s
    order by s.step_index
  loop
    perform pgflow.add_step(
      flow_slug => p_flow_slug,
      step_slug => v_given.step ->> 'slug',
      deps_slugs => v_given.dependencies,
      max_attempts => (v_given.options ->> 'maxAttempts')::integer,
      base_delay => (v_given.options ->> 'baseDelay')::integer,
      timeout => (v_given.options ->> 'timeout')::integer,
      start_delay => (v_given.options ->> 'startDelay')::integer,
      step_type => coalesce(v_given.step ->> 'stepType', 'single'),
      required_input_pattern => pgflow._unwrap_pattern(v_given.step -> 'requiredInputPattern'),
      forbidden_input_pattern => pgflow._unwrap_pattern(v_given.step -> 'forbiddenInputPattern'),
      when_unmet => coalesce(v_given.step ->> 'whenUnmet', 'skip'),
      when_exhausted => coalesce(v_given.step ->> 'whenExhausted', 'fail')
    );
  end loop;
end;
$$;
