-- Hides messages for so many seconds from now, given as parallel arrays of flow, message id and delay.
-- A NULL id is passed over. Called by _report_tasks and requeue_stalled_tasks. Locks the queue rows, last of all.
create function pgflow._delay_messages(
  flow_slugs text[],
  message_ids bigint[],
  delays integer[]
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
      m.flow_slug,
      array_agg(m.message_id order by m.message_id) as message_ids,
      array_agg(m.delay order by m.message_id) as delays
    from unnest(_delay_messages.flow_slugs, _delay_messages.message_ids, _delay_messages.delays)
      as m (flow_slug, message_id, delay)
    where m.message_id is not null
    group by m.flow_slug
    order by m.flow_slug
  loop
    perform pgflow.set_vt_batch(v_batch.flow_slug, v_batch.message_ids, v_batch.delays);
  end loop;
end;
$$;
