-- Marks steps as skipped, announces them, and closes their live tasks. Arrays in parallel, in the order of the events;
-- steps that have ended are passed over. Does not release dependents.
-- Called by _skip_unmet, _skip_cascade and _end_failed_steps. The caller has locked the runs.
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
declare
  v_run_ids uuid[];
  v_step_slugs text[];
begin
  with skipped as (
    update pgflow.step_states s
    set
      status = 'skipped',
      skip_reason = given.skip_reason,
      error_message = given.error_message,
      skipped_at = greatest(now(), s.created_at),
      remaining_tasks = null
    from unnest(
      _skip_steps.run_ids, _skip_steps.step_slugs, _skip_steps.skip_reasons, _skip_steps.error_messages
    ) with ordinality as given (run_id, step_slug, skip_reason, error_message, position)
    where s.run_id = given.run_id
      and s.step_slug = given.step_slug
      and s.status in ('created', 'started')
    returning given.position, s.run_id, s.step_slug
  )
  select array_agg(s.run_id order by s.position), array_agg(s.step_slug order by s.position)
  into v_run_ids, v_step_slugs
  from skipped s;

  perform pgflow._emit_steps(v_run_ids, v_step_slugs);
  perform pgflow._close_tasks(v_run_ids, v_step_slugs, 'skipped');
end;
$$;
