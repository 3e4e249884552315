-- A pattern as shapes write it: {"defined": true, "value": {...}}, or {"defined": false} for none.
-- Called by _get_flow_shape.
create function pgflow._wrap_pattern(pattern jsonb)
returns jsonb
language sql
immutable
set search_path to ''
as $$
  select case
    when _wrap_pattern.pattern is null then jsonb_build_object('defined', false)
    else jsonb_build_object('defined', true, 'value', _wrap_pattern.pattern)
  end
$$;
