-- Lets pg_cron give back stalled tasks. Called again, it replaces the schedule.
create function pgflow.setup_requeue_stalled_tasks_cron(cron_interval text default '15 seconds')
returns text
language plpgsql
security definer
set search_path to ''
as $$
declare
  v_job_id bigint;
begin
  perform pgflow._require_schema('cron', 'pg_cron', 'setup_requeue_stalled_tasks_cron');
  v_job_id := pgflow._schedule_job(
    'pgflow_requeue_stalled_tasks',
    setup_requeue_stalled_tasks_cron.cron_interval,
    'select pgflow.requeue_stalled_tasks()'
  );
  return format(
    'Scheduled pgflow_requeue_stalled_tasks (every %s, job_id=%s)',
    setup_requeue_stalled_tasks_cron.cron_interval, v_job_id
  );
end;
$$;
