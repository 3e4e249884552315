-- Lets pg_cron keep the deployed functions alive, and clear its log of that every hour. Called again, it replaces both.
create function pgflow.setup_ensure_workers_cron(cron_interval text default '1 second')
returns text
language plpgsql
security definer
set search_path to ''
as $$
declare
  v_job_id bigint;
  v_cleanup_job_id bigint;
begin
  perform pgflow._require_schema('cron', 'pg_cron', 'setup_ensure_workers_cron');
  v_job_id := pgflow._schedule_job(
    'pgflow_ensure_workers', setup_ensure_workers_cron.cron_interval, 'select pgflow.ensure_workers()'
  );
  v_cleanup_job_id := pgflow._schedule_job(
    'pgflow_cleanup_logs', '0 * * * *', 'select pgflow.cleanup_ensure_workers_logs()'
  );
  return format(
    'Scheduled pgflow_ensure_workers (every %s, job_id=%s) and pgflow_cleanup_logs (hourly, job_id=%s)',
    setup_ensure_workers_cron.cron_interval, v_job_id, v_cleanup_job_id
  );
end;
$$;
