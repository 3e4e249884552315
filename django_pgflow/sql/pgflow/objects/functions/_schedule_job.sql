-- Puts a job of pg_cron in the place of the one of that name, if there is one, and returns its id.
-- Called by setup_ensure_workers_cron and setup_requeue_stalled_tasks_cron.
create function pgflow._schedule_job(
  job_name text,
  schedule text,
  command text
)
returns bigint
language plpgsql
set search_path to ''
as $$
begin
  begin
    perform cron.unschedule(_schedule_job.job_name);
  exception
    -- pg_cron raises where there is no such job, with no code of its own; any real trouble schedule meets, too.
    when others then null;
  end;
  return cron.schedule(_schedule_job.job_name, _schedule_job.schedule, _schedule_job.command);
end;
$$;
