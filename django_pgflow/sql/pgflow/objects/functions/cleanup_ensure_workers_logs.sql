-- Deletes what pg_cron logged of jobs that ended more than so many hours ago; returns the number of rows.
create function pgflow.cleanup_ensure_workers_logs(retention_hours integer default 24)
returns table (cron_deleted bigint)
language plpgsql
security definer
set search_path to ''
as $$
begin
  perform pgflow._require_schema('cron', 'pg_cron', 'cleanup_ensure_workers_logs');
  return query
    with deleted as (
      delete from cron.job_run_details l
      where l.end_time < now() - make_interval(hours => cleanup_ensure_workers_logs.retention_hours)
      returning 1
    )
    select count(*) from deleted;
end;
$$;
