-- The value in a run's input for which a limit holds, as text: JSON; empty if it is missing, or if there is no key.
-- A long one is named by its hash.
-- Called by _admit and set_concurrency_limit.
create function django_pgflow._limit_key(
  input jsonb,
  key_path text[]
)
returns text
language plpgsql
immutable
set search_path to ''
as $$
declare
  v_key text;
begin
  if _limit_key.key_path = '{}' then
    return '';
  end if;
  v_key := coalesce((_limit_key.input #> _limit_key.key_path)::text, '');
  return case when length(v_key) > 200 then md5(v_key) else v_key end;
end;
$$;
