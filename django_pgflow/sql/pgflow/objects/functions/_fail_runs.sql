-- Fails started runs. Their started steps are skipped with the reason "run_failed" and their live tasks cancelled,
-- so that no work is left behind; steps not yet started stay as they are. Counters stay, for a later retry.
-- Called by _skip_unmet and _report_tasks, which have locked the runs.
create function pgflow._fail_runs(run_ids uuid[])
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_run_ids uuid[];
  v_step_slugs text[];
begin
  update pgflow.runs r
  set status = 'failed', failed_at = greatest(now(), r.started_at)
  where r.run_id = any (_fail_runs.run_ids)
    and r.status = 'started';

  update pgflow.step_states s
  set
    status = 'skipped',
    skip_reason = 'run_failed',
    skipped_at = greatest(now(), s.created_at),
    remaining_tasks = null
  where s.run_id = any (_fail_runs.run_ids)
    and s.status = 'started';

  -- The failed step's own siblings, too.
  select array_agg(s.run_id), array_agg(s.step_slug)
  into v_run_ids, v_step_slugs
  from pgflow.step_states s
  where s.run_id = any (_fail_runs.run_ids)
    and (s.status = 'failed' or s.skip_reason = 'run_failed');
  perform pgflow._close_tasks(v_run_ids, v_step_slugs, 'cancelled');
end;
$$;
