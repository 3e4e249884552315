-- Archives messages, given as parallel arrays of flow and message id; a NULL id is passed over.
-- The one place of the engine that archives. Locks the queue rows, last of all.
create function pgflow._archive_messages(
  flow_slugs text[],
  message_ids bigint[]
)
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_batch record;
begin
  for v_batch in
    select m.flow_slug, array_agg(m.message_id order by m.message_id) as message_ids
    from unnest(_archive_messages.flow_slugs, _archive_messages.message_ids) as m (flow_slug, message_id)
    where m.message_id is not null
    group by m.flow_slug
    order by m.flow_slug
  loop
    perform pgmq.archive(v_batch.flow_slug, v_batch.message_ids);
  end loop;
end;
$$;
