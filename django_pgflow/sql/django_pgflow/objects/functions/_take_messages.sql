-- Takes up to so many due messages of one flow, oldest first, and hides them for the timeout of their step plus 2
-- seconds; of each step no more than the worker has room for (any, without an entry in step_rooms), and no more than
-- there are free places, if it is limited. Messages that must wait for a place are hidden for an hour: they are woken.
-- Called by _claim_visible in place of its one statement, where there are such steps; it holds the queue. Locks queue
-- rows, waiting for none, some of which are left as they are; then as _admit.
create function django_pgflow._take_messages(
  flow_slug text,
  quantity integer,
  timeouts jsonb,
  step_rooms jsonb,
  is_limited boolean
)
returns bigint[]
language plpgsql
set search_path to ''
as $$
declare
  v_queue text := pgmq.format_table_name(_take_messages.flow_slug, 'q');
  v_rooms jsonb := _take_messages.step_rooms;
  v_left integer;
  v_batch integer;
  v_due_ids bigint[];
  v_due_slugs text[];
  v_chosen_ids bigint[];
  v_taken_ids bigint[] := '{}';
  v_admission record;
  v_waiting_ids bigint[] := '{}';
  v_waiting_count integer := 0;
  v_keys_count integer := 0;
begin
  -- What turns out to be full must not stand in the way of what is behind it: without that, once more.
  loop
    v_left := _take_messages.quantity - cardinality(v_taken_ids);
    v_batch := case when _take_messages.is_limited then 100 else v_left end;
    execute format(
      $query$
        select array_agg(due.msg_id order by due.msg_id), array_agg(due.step_slug order by due.msg_id)
        from (
          select q.msg_id, coalesce(q.message ->> 'step_slug', '') as step_slug
          from pgmq.%I q
          where q.vt <= $3
            and coalesce(q.message ->> 'step_slug', '') <> all ($1)
          order by q.%I
          limit $2
          for update skip locked
        ) as due
      $query$,
      v_queue,
      -- By the index of the times where many may be hidden in front: those that are woken have the time back at which
      -- they were queued.
      case when _take_messages.is_limited then 'vt' else 'msg_id' end
    )
    into v_due_ids, v_due_slugs
    using
      array(select room.key from jsonb_each_text(v_rooms) as room where room.value::integer <= 0),
      v_batch,
      clock_timestamp();
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

    if _take_messages.is_limited then
      v_admission := django_pgflow._admit(_take_messages.flow_slug, v_chosen_ids, v_left, v_taken_ids);
      v_chosen_ids := v_admission.admitted_ids;
      v_waiting_ids := v_admission.waiting_ids;
      v_waiting_count := v_waiting_count + cardinality(v_waiting_ids);
      v_keys_count := v_keys_count + v_admission.keys_count;
    end if;

    execute format(
      $query$
        update pgmq.%I q
        set
          vt = clock_timestamp() + case
            when q.msg_id = any ($3) then interval '1 hour'
            else make_interval(secs => coalesce($1 ->> (q.message ->> 'step_slug'), '0')::integer)
          end,
          read_ct = q.read_ct + case when q.msg_id = any ($3) then 0 else 1 end
        where q.msg_id = any ($2 || $3)
      $query$,
      v_queue
    )
    using _take_messages.timeouts, v_chosen_ids, v_waiting_ids;
    v_taken_ids := v_taken_ids || v_chosen_ids;

    exit when cardinality(v_taken_ids) >= _take_messages.quantity;
    exit when cardinality(v_due_ids) < v_batch
      and cardinality(v_chosen_ids) + cardinality(v_waiting_ids) = cardinality(v_due_ids);
    -- What waits, waits for somebody; but each key costs a lock until the end of the transaction, and this one has to
    -- end some time.
    exit when v_keys_count >= 200 or v_waiting_count >= 5000;

    v_rooms := v_rooms || coalesce(
      (
        select jsonb_object_agg(used.step_slug, (v_rooms ->> used.step_slug)::integer - used.count)
        from (
          select due.step_slug, count(*)::integer as count
          from unnest(v_due_ids, v_due_slugs) as due (message_id, step_slug)
          where due.message_id = any (v_chosen_ids) and v_rooms ? due.step_slug
          group by due.step_slug
        ) as used
      ),
      '{}'
    );
    if _take_messages.is_limited then
      v_rooms := v_rooms || coalesce(
        (select jsonb_object_agg(passed.step_slug, 0) from unnest(v_admission.passed_slugs) as passed (step_slug)), '{}'
      );
    end if;
  end loop;
  return v_taken_ids;
end;
$$;
