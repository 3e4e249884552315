-- Fails started runs. Their started steps are skipped with the given reason and their live tasks cancelled, so that no
-- work is left behind; steps not yet started stay as they are. Counters stay, for a run that is taken up again.
-- Called by _skip_unmet, _end_failed_steps and django_pgflow.cancel_runs, which have locked the runs.
create function pgflow._fail_runs(
  run_ids uuid[],
  skip_reason text default 'run_failed'
)
returns void
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
declare
  v_run_ids uuid[];
  v_step_slugs text[];
  v_failed_ids uuid[];
begin
  with failed as (
    update pgflow.runs r
    set status = 'failed', failed_at = greatest(now(), r.started_at)
    where r.run_id = any (_fail_runs.run_ids)
      and r.status = 'started'
    returning r.run_id
  )
  select array_agg(f.run_id) into v_failed_ids from failed f;
  if v_failed_ids is null then
    return;
  end if;
  perform pgflow._emit_runs(v_failed_ids);

  update pgflow.step_states s
  set
    status = 'skipped',
    skip_reason = _fail_runs.skip_reason,
    skipped_at = greatest(now(), s.created_at),
    remaining_tasks = null
  where s.run_id = any (v_failed_ids)
    and s.status = 'started';

  -- The failed step's own siblings, too.
  select array_agg(s.run_id), array_agg(s.step_slug)
  into v_run_ids, v_step_slugs
  from pgflow.step_states s
  where s.run_id = any (v_failed_ids)
    and (s.status = 'failed' or s.skip_reason = _fail_runs.skip_reason);
  perform pgflow._close_tasks(v_run_ids, v_step_slugs, 'cancelled');
end;
$$;
