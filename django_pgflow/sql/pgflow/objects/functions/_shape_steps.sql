-- The steps of a shape with their place from 0 and their dependencies sorted. A shape without steps has none.
-- Called by _compare_flow_shapes and _create_flow_from_shape.
create function pgflow._shape_steps(shape jsonb)
returns table (
  step_index integer,
  step jsonb,
  dependencies text[]
)
language sql
immutable
set search_path to ''
as $$
  select
    (given.position - 1)::integer,
    given.step,
    array(
      select dep
      from jsonb_array_elements_text(coalesce(nullif(given.step -> 'dependencies', 'null'), '[]')) as dep
      order by dep collate "C"
    )
  from jsonb_array_elements(coalesce(nullif(_shape_steps.shape -> 'steps', 'null'), '[]'))
    with ordinality as given (step, position)
  order by given.position
$$;
