-- Archives messages whose task has ended or does not exist, and hides the others for 5 seconds.
-- Called by _claim_visible, which has locked the messages.
create function django_pgflow._set_aside(
  flow_slug text,
  message_ids bigint[]
)
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_live_ids bigint[] := array(
    select t.message_id
    from unnest(_set_aside.message_ids) as given (message_id)
    cross join lateral (
      select live.message_id
      from pgflow.step_tasks live
      where live.flow_slug = _set_aside.flow_slug
        and live.message_id = given.message_id
        and live.status in ('queued', 'started')
      offset 0  -- looked up for each message, never joined by a scan
    ) as t
  );
  v_dead_ids bigint[] := array(
    select m from unnest(_set_aside.message_ids) as m where m <> all (v_live_ids)
  );
begin
  perform pgflow.set_vt_batch(_set_aside.flow_slug, v_live_ids, array_fill(5, array[cardinality(v_live_ids)]));
  perform pgflow._archive_messages(
    array_fill(_set_aside.flow_slug, array[cardinality(v_dead_ids)]), v_dead_ids
  );
end;
$$;
