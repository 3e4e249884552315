-- Tidies up behind reports that did not count. Where the step or run has ended, the task's message is archived, and
-- a task that still stands as started in a failed run becomes failed. Nothing else changes.
-- Called by _report_tasks, which has locked runs and step states.
create function pgflow._report_late(
  run_ids uuid[],
  step_slugs text[],
  task_indexes integer[],
  outcomes text[],
  error_messages text[]
)
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_flow_slugs text[];
  v_message_ids bigint[];
begin
  update pgflow.step_tasks t
  set status = 'failed', failed_at = greatest(now(), t.started_at), error_message = late.error_message
  from
    unnest(
      _report_late.run_ids, _report_late.step_slugs, _report_late.task_indexes, _report_late.outcomes,
      _report_late.error_messages
    ) as late (run_id, step_slug, task_index, outcome, error_message),
    pgflow.runs r
  where t.run_id = late.run_id
    and t.step_slug = late.step_slug
    and t.task_index = late.task_index
    and r.run_id = t.run_id
    and r.status = 'failed'
    and t.status = 'started'
    and late.outcome = 'failed';

  select array_agg(t.flow_slug), array_agg(t.message_id)
  into v_flow_slugs, v_message_ids
  from unnest(
    _report_late.run_ids, _report_late.step_slugs, _report_late.task_indexes, _report_late.outcomes
  ) as late (run_id, step_slug, task_index, outcome)
  join pgflow.step_tasks t
    on t.run_id = late.run_id and t.step_slug = late.step_slug and t.task_index = late.task_index
  join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
  join pgflow.runs r on r.run_id = t.run_id
  where case when r.status = 'failed' then late.outcome <> 'completed' else s.status <> 'started' end;
  perform pgflow._archive_messages(v_flow_slugs, v_message_ids);
end;
$$;
