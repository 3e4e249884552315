-- Registers a deployed function to be kept alive; again only moves updated_at.
create function pgflow.track_worker_function(function_name text)
returns void
language sql
set search_path to ''
as $$
  insert into pgflow.worker_functions (function_name)
  values (track_worker_function.function_name)
  on conflict (function_name) do update set updated_at = clock_timestamp()
$$;
