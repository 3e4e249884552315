-- Takes up to so many due messages of one flow, lowest first, hides them for the timeout of their step plus 2 seconds,
-- and claims their tasks for a worker. A message without a task to claim is archived if its task has ended, else hidden
-- for a while, so that it does not stand in the way. Of steps with an entry in step_rooms, {"step": 2}, it takes no
-- more than that; of steps with a limit for all workers, no more than there are free places.
-- Called by exchange. Locks queue rows and then tasks, but waits for neither: what others hold is passed over.
create function django_pgflow._claim_visible(
  flow_slug text,
  quantity integer,
  worker_id uuid,
  step_rooms jsonb
)
returns setof django_pgflow.exchange_record
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
declare
  v_timeouts jsonb;
  v_is_limited boolean;
  v_message_id bigint;
  v_message_ids bigint[] := '{}';
  v_claimed_ids bigint[] := '{}';
  v_task django_pgflow.exchange_record;
begin
  -- A flow that is gone must not keep its worker from the others.
  if not pgflow._hold_queue(_claim_visible.flow_slug) then
    return;
  end if;

  select
    jsonb_object_agg(d.step_slug, coalesce(d.opt_timeout, f.opt_timeout) + 2),
    exists (select from django_pgflow.concurrency_limits l where l.flow_slug = _claim_visible.flow_slug)
  into v_timeouts, v_is_limited
  from pgflow.flows f
  join pgflow.steps d on d.flow_slug = f.flow_slug
  where f.flow_slug = _claim_visible.flow_slug;

  if v_is_limited or _claim_visible.step_rooms is not null then
    v_message_ids := django_pgflow._take_messages(
      _claim_visible.flow_slug, _claim_visible.quantity, v_timeouts, coalesce(_claim_visible.step_rooms, '{}'),
      v_is_limited
    );
  else
    -- Planned anew each time, since it names a table: so it joins nothing.
    for v_message_id in execute format(
      $query$
        update pgmq.%1$I q
        set
          vt = clock_timestamp() + make_interval(secs => coalesce($1 ->> (q.message ->> 'step_slug'), '0')::integer),
          read_ct = q.read_ct + 1
        where q.msg_id = any (array(
          select due.msg_id
          from pgmq.%1$I due
          where due.vt <= clock_timestamp()
          order by due.msg_id
          limit $2
          for update skip locked
        ))
        returning q.msg_id
      $query$,
      pgmq.format_table_name(_claim_visible.flow_slug, 'q')
    )
    using v_timeouts, _claim_visible.quantity
    loop
      v_message_ids := v_message_ids || v_message_id;
    end loop;
  end if;
  if v_message_ids = '{}' then
    return;
  end if;

  for v_task in
    select
      'claimed', _claim_visible.flow_slug, c.run_id, c.step_slug, c.task_index, c.attempt, c.input, c.msg_id,
      c.max_attempts, c.timeout, c.requeued_count
    from pgflow._claim_tasks(
      _claim_visible.flow_slug, v_message_ids, _claim_visible.worker_id, omit_run => false
    ) c
  loop
    v_claimed_ids := v_claimed_ids || v_task.msg_id;
    return next v_task;
  end loop;

  if cardinality(v_claimed_ids) < cardinality(v_message_ids) then
    perform django_pgflow._set_aside(
      _claim_visible.flow_slug,
      array(select m from unnest(v_message_ids) as m where m <> all (v_claimed_ids))
    );
  end if;
end;
$$;
