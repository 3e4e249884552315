-- Tells whether events can be received at all.
-- Called by _emit_runs and _emit_steps, which build nothing if not. Locks nothing.
create function pgflow._has_audience()
returns boolean
language plpgsql
stable
set search_path to ''
as $$
begin
  return to_regnamespace('realtime') is not null
    and to_regprocedure('realtime.send(jsonb, text, text, boolean)') is not null;
end;
$$;
