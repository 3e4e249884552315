-- The started tasks whose timeout, and extension, ended more than 30 seconds ago, of started runs and steps.
-- Found by the messages that were read, of which a queue holds only those of live tasks: neither the history is searched
-- nor what waits for its first claim, which may be a million. A started task without a message is found by the index on
-- the message id.
-- Called by requeue_stalled_tasks. Locks nothing.
create function pgflow._stalled_tasks()
returns table (
  run_id uuid,
  step_slug text,
  task_index integer
)
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
declare
  v_flow_slug text;
  v_message_ids bigint[];
begin
  for v_flow_slug in
    select f.flow_slug
    from pgflow.flows f
    join pgmq.meta q on q.queue_name = f.flow_slug
    order by f.flow_slug
  loop
    continue when not pgflow._hold_queue(v_flow_slug);
    execute format(
      'select array_agg(q.msg_id) from pgmq.%I q where q.read_ct > 0', pgmq.format_table_name(v_flow_slug, 'q')
    )
    into v_message_ids;
    return query
      select t.run_id, t.step_slug, t.task_index
      from (
        select found.*
        from unnest(v_message_ids) as given (message_id)
        cross join lateral (
          select announced.*
          from pgflow.step_tasks announced
          where announced.flow_slug = v_flow_slug
            and announced.message_id = given.message_id
            and announced.status = 'started'
            and announced.started_at < now() - interval '30 seconds'
          offset 0  -- looked up for each message, never joined by a scan
        ) as found
        union all
        select silent.*
        from pgflow.step_tasks silent
        where silent.flow_slug = v_flow_slug and silent.message_id is null
      ) as t
      join pgflow.runs r on r.run_id = t.run_id
      join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
      join pgflow.steps d on d.flow_slug = t.flow_slug and d.step_slug = t.step_slug
      join pgflow.flows f on f.flow_slug = t.flow_slug
      where t.status = 'started'
        and t.permanently_stalled_at is null
        and t.started_at < now() - make_interval(secs => coalesce(d.opt_timeout, f.opt_timeout) + 30)
        and (t.extended_until is null or t.extended_until < now() - interval '30 seconds')
        and s.status = 'started'
        and r.status = 'started';
  end loop;
end;
$$;
