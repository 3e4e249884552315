-- Takes up to so many due messages of one flow, lowest first, of each step no more than it has room for, and hides them
-- for the timeout of their step plus 2 seconds. Steps without an entry in step_rooms have any room.
-- Called by _claim_visible in place of its one statement, where there are such steps; it holds the queue. Locks queue
-- rows, waiting for none; some of them are left as they are.
create function django_pgflow._take_messages(
  flow_slug text,
  quantity integer,
  timeouts jsonb,
  step_rooms jsonb
)
returns bigint[]
language plpgsql
set search_path to ''
as $$
declare
  v_queue text := pgmq.format_table_name(_take_messages.flow_slug, 'q');
  v_rooms jsonb := _take_messages.step_rooms;
  v_due_ids bigint[];
  v_due_slugs text[];
  v_chosen_ids bigint[];
  v_taken_ids bigint[] := '{}';
  v_used jsonb;
begin
  -- A step that turns out to be full must not stand in the way of those behind it: without it, once more.
  loop
    execute format(
      $query$
        select array_agg(due.msg_id order by due.msg_id), array_agg(due.step_slug order by due.msg_id)
        from (
          select q.msg_id, coalesce(q.message ->> 'step_slug', '') as step_slug
          from pgmq.%I q
          where q.vt <= clock_timestamp()
            and coalesce(q.message ->> 'step_slug', '') <> all ($1)
          order by q.msg_id
          limit $2
          for update skip locked
        ) as due
      $query$,
      v_queue
    )
    into v_due_ids, v_due_slugs
    using
      array(select room.key from jsonb_each_text(v_rooms) as room where room.value::integer <= 0),
      _take_messages.quantity - cardinality(v_taken_ids);
    exit when v_due_ids is null;

    select array_agg(placed.message_id)
    into v_chosen_ids
    from (
      select
        due.message_id,
        (v_rooms ->> due.step_slug)::integer as room,
        row_number() over (partition by due.step_slug order by due.message_id) as place
      from unnest(v_due_ids, v_due_slugs) as due (message_id, step_slug)
    ) as placed
    where placed.place <= coalesce(placed.room, placed.place);

    execute format(
      $query$
        update pgmq.%I q
        set vt = clock_timestamp() + make_interval(secs => coalesce($1 ->> (q.message ->> 'step_slug'), '0')::integer)
        where q.msg_id = any ($2)
      $query$,
      v_queue
    )
    using _take_messages.timeouts, v_chosen_ids;
    v_taken_ids := v_taken_ids || v_chosen_ids;
    exit when cardinality(v_chosen_ids) = cardinality(v_due_ids);

    select jsonb_object_agg(used.step_slug, (v_rooms ->> used.step_slug)::integer - used.count)
    into v_used
    from (
      select due.step_slug, count(*)::integer
      from unnest(v_due_ids, v_due_slugs) as due (message_id, step_slug)
      where due.message_id = any (v_chosen_ids) and v_rooms ? due.step_slug
      group by due.step_slug
    ) as used;
    v_rooms := v_rooms || v_used;
  end loop;
  return v_taken_ids;
end;
$$;
