-- Hides each message for its own number of seconds from now, and returns the messages. Unknown ids are passed over.
create function pgflow.set_vt_batch(
  queue_name text,
  msg_ids bigint[],
  vt_offsets integer[]
)
returns table (
  msg_id bigint,
  read_ct integer,
  enqueued_at timestamptz,
  vt timestamptz,
  message jsonb,
  headers jsonb
)
language plpgsql
set search_path to ''
as $$
begin
  if set_vt_batch.msg_ids is null or set_vt_batch.vt_offsets is null then
    return;
  end if;
  if cardinality(set_vt_batch.msg_ids) <> cardinality(set_vt_batch.vt_offsets) then
    raise exception 'msg_ids length (%) must equal vt_offsets length (%)',
      cardinality(set_vt_batch.msg_ids), cardinality(set_vt_batch.vt_offsets);
  end if;
  if cardinality(set_vt_batch.msg_ids) = 0 then
    return;
  end if;
  return query execute format(
    $query$
      update pgmq.%I as q
      set vt = clock_timestamp() + make_interval(secs => given.vt_offset)
      from unnest($1, $2) as given (msg_id, vt_offset)
      where q.msg_id = given.msg_id
      returning q.msg_id, q.read_ct, q.enqueued_at, q.vt, q.message, q.headers
    $query$,
    pgmq.format_table_name(set_vt_batch.queue_name, 'q')
  )
  using set_vt_batch.msg_ids, set_vt_batch.vt_offsets;
end;
$$;
