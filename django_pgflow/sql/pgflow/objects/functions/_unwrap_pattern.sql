-- The pattern in a wrapper as shapes write it; NULL where it is not defined, or the wrapper absent.
-- Called by _compare_flow_shapes and _create_flow_from_shape.
create function pgflow._unwrap_pattern(wrapper jsonb)
returns jsonb
language sql
immutable
set search_path to ''
as $$
  select case when _unwrap_pattern.wrapper @> '{"defined": true}' then _unwrap_pattern.wrapper -> 'value' end
$$;
