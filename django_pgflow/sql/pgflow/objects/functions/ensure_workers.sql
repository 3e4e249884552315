-- Pings the deployed functions (Supabase edge functions) that should have a worker and have none, and returns a row for
-- each. In local development all enabled ones; elsewhere those not pinged within their debounce and without a live
-- worker, at the project that the vault names, with the token that it holds. Without these nothing is done.
-- Called by pg_cron: setup_ensure_workers_cron. The requests leave at commit.
create function pgflow.ensure_workers()
returns table (
  function_name text,
  invoked boolean,
  request_id bigint
)
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
declare
  v_is_local boolean := pgflow.is_local();
  v_base_url text := 'http://kong:8000/functions/v1';
  v_token text;
  v_headers jsonb := '{}';
begin
  perform pgflow._require_schema('net', 'pg_net', 'ensure_workers');
  if not v_is_local then
    perform pgflow._require_schema('vault', 'supabase_vault', 'ensure_workers');
    -- Empty secrets count as missing.
    select
      'https://' || max(s.decrypted_secret) filter (where s.name = 'supabase_project_id')
        || '.supabase.co/functions/v1',
      coalesce(
        max(s.decrypted_secret) filter (where s.name = 'pgflow_auth_secret'),
        max(s.decrypted_secret) filter (where s.name = 'supabase_service_role_key')
      )
    into v_base_url, v_token
    from vault.decrypted_secrets s
    where s.decrypted_secret <> '';
    if v_base_url is null or v_token is null then
      return;
    end if;
    v_headers := jsonb_build_object('Content-Type', 'application/json', 'Authorization', 'Bearer ' || v_token);
  end if;

  return query
    with pinged as materialized (
      select
        f.function_name,
        net.http_post(url => v_base_url || '/' || f.function_name, headers => v_headers, body => '{}') as request_id
      from pgflow.worker_functions f
      where f.enabled
        and (
          v_is_local
          or (
            (f.last_invoked_at is null or f.last_invoked_at < now() - f.debounce)
            and not exists (
              select
              from pgflow.workers w
              where w.function_name = f.function_name
                and w.stopped_at is null
                and w.deprecated_at is null
                and w.last_heartbeat_at > now() - f.debounce
            )
          )
        )
    )
    update pgflow.worker_functions f
    set last_invoked_at = clock_timestamp()
    from pinged p
    where f.function_name = p.function_name
    returning f.function_name, true, p.request_id;
end;
$$;
