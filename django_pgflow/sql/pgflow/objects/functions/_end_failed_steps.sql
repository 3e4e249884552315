-- Ends steps whose task failed for good, as their when_exhausted says: the run fails, or the step is skipped, alone
-- or with all that depends on it. Arrays in parallel, each step once.
-- Called by _move_steps. The caller has locked runs and step states.
create function pgflow._end_failed_steps(
  run_ids uuid[],
  step_slugs text[],
  modes text[],
  error_messages text[]
)
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_batch record;
begin
  update pgflow.step_states s
  set status = 'failed', failed_at = greatest(now(), s.started_at), error_message = failed.error_message
  from unnest(
    _end_failed_steps.run_ids, _end_failed_steps.step_slugs, _end_failed_steps.modes, _end_failed_steps.error_messages
  ) as failed (run_id, step_slug, mode, error_message)
  where failed.mode = 'fail'
    and s.run_id = failed.run_id
    and s.step_slug = failed.step_slug;

  for v_batch in
    select
      failed.mode,
      array_agg(failed.run_id) as run_ids,
      array_agg(failed.step_slug) as step_slugs,
      array_agg(failed.error_message) as error_messages
    from unnest(
      _end_failed_steps.run_ids, _end_failed_steps.step_slugs, _end_failed_steps.modes, _end_failed_steps.error_messages
    ) as failed (run_id, step_slug, mode, error_message)
    group by failed.mode
    -- Skips first: what a run that fails leaves behind is closed last.
    order by failed.mode = 'fail'
  loop
    if v_batch.mode = 'fail' then
      perform pgflow._fail_runs(v_batch.run_ids);
    elsif v_batch.mode = 'skip' then
      perform pgflow._skip_steps(
        v_batch.run_ids,
        v_batch.step_slugs,
        array_fill('handler_failed'::text, array[cardinality(v_batch.run_ids)]),
        v_batch.error_messages
      );
      perform pgflow._release_dependents(v_batch.run_ids, v_batch.step_slugs);
    else
      perform pgflow._skip_cascade(
        v_batch.run_ids, v_batch.step_slugs, 'handler_failed', v_batch.error_messages
      );
    end if;
  end loop;
end;
$$;
