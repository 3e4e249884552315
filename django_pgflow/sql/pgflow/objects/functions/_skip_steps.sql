-- Marks steps as skipped and closes their live tasks. Arrays in parallel; steps that have ended are passed over.
-- Does not release dependents. Called by _skip_unmet, _skip_cascade and _end_failed_steps. The caller has locked the runs.
create function pgflow._skip_steps(
  run_ids uuid[],
  step_slugs text[],
  skip_reasons text[],
  error_messages text[] default null
)
returns void
language plpgsql
set search_path to ''
as $$
begin
  update pgflow.step_states s
  set
    status = 'skipped',
    skip_reason = skipped.skip_reason,
    error_message = skipped.error_message,
    skipped_at = greatest(now(), s.created_at),
    remaining_tasks = null
  from unnest(
    _skip_steps.run_ids, _skip_steps.step_slugs, _skip_steps.skip_reasons, _skip_steps.error_messages
  ) as skipped (run_id, step_slug, skip_reason, error_message)
  where s.run_id = skipped.run_id
    and s.step_slug = skipped.step_slug
    and s.status in ('created', 'started');

  perform pgflow._close_tasks(_skip_steps.run_ids, _skip_steps.step_slugs, 'skipped');
end;
$$;
