-- Ends the live tasks of steps, and archives their messages: nothing can claim them, late reports are refused.
-- Called when a step is skipped or its run fails. The caller has locked the runs.
create function pgflow._close_tasks(
  run_ids uuid[],
  step_slugs text[],
  status text
)
returns void
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
declare
  v_flow_slugs text[];
  v_message_ids bigint[];
begin
  with closed as (
    update pgflow.step_tasks t
    set status = _close_tasks.status
    from unnest(_close_tasks.run_ids, _close_tasks.step_slugs) as ended (run_id, step_slug)
    where t.run_id = ended.run_id
      and t.step_slug = ended.step_slug
      and t.status in ('queued', 'started')
    returning t.flow_slug, t.message_id
  )
  select array_agg(c.flow_slug), array_agg(c.message_id)
  into v_flow_slugs, v_message_ids
  from closed c;
  perform pgflow._archive_messages(v_flow_slugs, v_message_ids);
end;
$$;
