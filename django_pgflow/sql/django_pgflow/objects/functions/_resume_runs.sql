-- Takes failed runs up again: their failed and interrupted steps are started once more, and the tasks of those that
-- did not complete are queued with fresh attempts and new messages.
-- A cancellation is forgotten.
-- Called by retry_tasks and resume_runs, which have locked the runs. Locks step states, then tasks, then queue rows.
create function django_pgflow._resume_runs(run_ids uuid[])
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_batch record;
begin
  update pgflow.runs r
  set status = 'started', failed_at = null
  where r.run_id = any (_resume_runs.run_ids);

  -- Only what still says something is kept.
  delete from django_pgflow.run_details d
  where d.run_id = any (_resume_runs.run_ids)
    and d.meta is null
    and d.restarted_from is null;
  update django_pgflow.run_details d
  set cancelled_at = null, cancel_reason = null
  where d.run_id = any (_resume_runs.run_ids)
    and d.cancelled_at is not null;

  update pgflow.step_states s
  set
    status = 'started',
    error_message = null,
    skip_reason = null,
    failed_at = null,
    skipped_at = null,
    remaining_tasks = s.initial_tasks - (
      select count(*)
      from pgflow.step_tasks t
      where t.run_id = s.run_id and t.step_slug = s.step_slug and t.status = 'completed'
    )
  where s.run_id = any (_resume_runs.run_ids)
    and (s.status = 'failed' or s.skip_reason in ('run_failed', 'run_cancelled'));

  for v_batch in
    select
      t.flow_slug,
      array_agg(t.run_id order by t.run_id, t.step_slug, t.task_index) as run_ids,
      array_agg(t.step_slug order by t.run_id, t.step_slug, t.task_index) as step_slugs,
      array_agg(t.task_index order by t.run_id, t.step_slug, t.task_index) as task_indexes
    from pgflow.step_tasks t
    join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
    where t.run_id = any (_resume_runs.run_ids)
      -- Skipped ones are of a map that was to be skipped, and failed for another of its tasks in the same moment.
      and t.status in ('failed', 'cancelled', 'skipped')
      and s.status = 'started'
    group by t.flow_slug
    order by t.flow_slug
  loop
    perform django_pgflow._requeue_tasks(
      v_batch.flow_slug, v_batch.run_ids, v_batch.step_slugs, v_batch.task_indexes
    );
  end loop;

  perform pgflow._advance(_resume_runs.run_ids);
end;
$$;
