-- Ends steps by the mode given for each: fail, and the run fails; skip; skip-cascade, with all that depends on it.
-- Arrays in parallel, each step once.
-- Called by _move_steps. The caller has locked runs and step states.
create function pgflow._end_failed_steps(
  run_ids uuid[],
  step_slugs text[],
  modes text[],
  skip_reasons text[],
  error_messages text[]
)
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_batch record;
begin
  for v_batch in
    select
      ended.mode,
      array_agg(ended.run_id order by ended.position) as run_ids,
      array_agg(ended.step_slug order by ended.position) as step_slugs,
      array_agg(ended.skip_reason order by ended.position) as skip_reasons,
      array_agg(ended.error_message order by ended.position) as error_messages
    from unnest(
      _end_failed_steps.run_ids, _end_failed_steps.step_slugs, _end_failed_steps.modes,
      _end_failed_steps.skip_reasons, _end_failed_steps.error_messages
    ) with ordinality as ended (run_id, step_slug, mode, skip_reason, error_message, position)
    group by ended.mode
    -- Skips first: what a run that fails leaves behind is closed last.
    order by ended.mode = 'fail', ended.mode
  loop
    if v_batch.mode = 'fail' then
      update pgflow.step_states s
      set status = 'failed', failed_at = greatest(now(), s.started_at), error_message = failed.error_message
      from unnest(v_batch.run_ids, v_batch.step_slugs, v_batch.error_messages)
        as failed (run_id, step_slug, error_message)
      where s.run_id = failed.run_id
        and s.step_slug = failed.step_slug;
      perform pgflow._emit_steps(v_batch.run_ids, v_batch.step_slugs);
      perform pgflow._fail_runs(v_batch.run_ids);
    elsif v_batch.mode = 'skip' then
      perform pgflow._skip_steps(
        v_batch.run_ids, v_batch.step_slugs, v_batch.skip_reasons, v_batch.error_messages
      );
      perform pgflow._release_dependents(v_batch.run_ids, v_batch.step_slugs);
      perform pgflow._count_down(v_batch.run_ids);
    else
      perform pgflow._skip_cascade(
        v_batch.run_ids, v_batch.step_slugs, v_batch.skip_reasons, v_batch.error_messages
      );
    end if;
  end loop;
end;
$$;
