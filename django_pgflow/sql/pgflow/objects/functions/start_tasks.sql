-- Claims the queued tasks behind messages that a worker has read, and hides the messages for the tasks' timeout plus
-- 2 seconds; all else is passed over. See _claim_tasks.
-- With the setting pgflow.task_input = 'deps' the inputs have no key "run".
-- Locks tasks, waiting for none, then queue rows.
create function pgflow.start_tasks(
  flow_slug text,
  msg_ids bigint[],
  worker_id uuid
)
returns setof pgflow.step_task_record
language plpgsql
set search_path to ''
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set join_collapse_limit to 1
set jit to off
as $$
declare
  v_claimed record;
  v_message_ids bigint[] := '{}';
  v_delays integer[] := '{}';
begin
  for v_claimed in
    select *
    from pgflow._claim_tasks(
      start_tasks.flow_slug,
      start_tasks.msg_ids,
      start_tasks.worker_id,
      omit_run => coalesce(current_setting('pgflow.task_input', true), '') = 'deps'
    )
  loop
    v_message_ids := v_message_ids || v_claimed.msg_id;
    v_delays := v_delays || v_claimed.timeout + 2;
    return next (
      start_tasks.flow_slug, v_claimed.run_id, v_claimed.step_slug, v_claimed.input, v_claimed.msg_id,
      v_claimed.task_index, v_claimed.flow_input
    )::pgflow.step_task_record;
  end loop;
  if v_message_ids <> '{}' then
    -- They count as read, even if their ids came from elsewhere: _stalled_tasks looks at no others.
    execute format(
      $query$
        update pgmq.%I as q
        set vt = clock_timestamp() + make_interval(secs => given.delay), read_ct = greatest(q.read_ct, 1)
        from unnest($1, $2) as given (message_id, delay)
        where q.msg_id = given.message_id
      $query$,
      pgmq.format_table_name(start_tasks.flow_slug, 'q')
    )
    using v_message_ids, v_delays;
  end if;
end;
$$;
