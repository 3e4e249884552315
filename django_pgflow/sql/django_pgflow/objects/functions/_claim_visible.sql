-- Takes up to so many due messages of one flow, lowest first, and claims their tasks for a worker.
-- A message without a task to claim is archived if its task has ended, else hidden for a while, so that it does not
-- stand in the way.
-- Called by exchange. Locks queue rows and then tasks, but waits for neither: what others hold is passed over.
create function django_pgflow._claim_visible(
  flow_slug text,
  quantity integer,
  worker_id uuid
)
returns setof django_pgflow.exchange_record
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
declare
  v_table text := pgmq.format_table_name(_claim_visible.flow_slug, 'q');
  v_message_ids bigint[];
  v_claimed_ids bigint[] := '{}';
  v_task django_pgflow.exchange_record;
begin
  -- A flow that is gone must not keep its worker from the others.
  if not pgflow._hold_queue(_claim_visible.flow_slug) then
    return;
  end if;

  execute format(
    $query$
      select array_agg(due.msg_id)
      from (
        select q.msg_id
        from pgmq.%I q
        where q.vt <= clock_timestamp()
        order by q.msg_id
        limit $1
        for update skip locked
      ) as due
    $query$,
    v_table
  )
  into v_message_ids
  using _claim_visible.quantity;
  if v_message_ids is null then
    return;
  end if;

  for v_task in
    select
      'claimed', _claim_visible.flow_slug, c.run_id, c.step_slug, c.task_index, c.attempt, c.input, c.msg_id,
      c.max_attempts, c.timeout
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
