-- Names what a limit counts for: the step, and the value at a path of the run's input, as JSON. Nothing stands for a
-- value that is missing, or if there is no path; a long one is named by its hash.
-- Called by _admit and set_concurrency_limit.
create function django_pgflow._limit_key(
  flow_slug text,
  step_slug text,
  input jsonb,
  key_path text[]
)
returns text
language plpgsql
immutable
set search_path to ''
as $$
declare
  v_value text := '';
begin
  if _limit_key.key_path <> '{}' then
    v_value := coalesce((_limit_key.input #> _limit_key.key_path)::text, '');
  end if;
  return _limit_key.flow_slug || '.' || _limit_key.step_slug || ':'
    || case when length(v_value) > 200 then md5(v_value) else v_value end;
end;
$$;
