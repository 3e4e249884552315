-- Tells whether a text can name a flow or step: letters, digits and underscores, no digit first,
-- at most 128 characters, not the reserved word "run". Never NULL.
create function pgflow.is_valid_slug(slug text)
returns boolean
language plpgsql
immutable
set search_path to ''
as $$
begin
  return slug is not null
    and length(slug) <= 128
    and slug ~ '^[a-zA-Z_][a-zA-Z0-9_]*$'
    and slug <> 'run';
end;
$$;
