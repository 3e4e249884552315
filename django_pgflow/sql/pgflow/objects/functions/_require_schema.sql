-- Refuses to go on where a schema is missing that only some platforms have.
-- Called by ensure_workers, setup_*_cron (through _schedule_job) and cleanup_ensure_workers_logs.
create function pgflow._require_schema(
  schema_name text,
  extension_name text,
  function_name text
)
returns void
language plpgsql
set search_path to ''
as $$
begin
  if not exists (select from pg_catalog.pg_namespace n where n.nspname = _require_schema.schema_name) then
    raise exception using
      errcode = 'invalid_schema_name',
      message = format(
        'schema "%s" does not exist: pgflow.%s needs the extension %s',
        _require_schema.schema_name, _require_schema.function_name, _require_schema.extension_name
      ),
      hint = 'Supabase has it. Elsewhere, Django''s workers (runpgflowworker) do what this function is for.';
  end if;
end;
$$;
