-- The started tasks in the hands of some workers, of the flows that these serve. Found by the messages that are hidden,
-- or were until 5 minutes ago, for longer than 2 seconds, as every claim does: so a backlog that nobody has claimed is
-- passed over. What has been due for longer is left to the search for stalled tasks.
-- Called by requeue_lost_tasks, and by workers to compare it with what they have. Locks nothing.
create function django_pgflow._held_tasks(worker_ids uuid[])
returns table (
  run_id uuid,
  step_slug text,
  task_index integer,
  attempt integer
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
    select distinct f.flow_slug
    from pgflow.workers w
    cross join lateral unnest(string_to_array(w.queue_name, ',')) as served (flow_slug)
    join pgflow.flows f on f.flow_slug = served.flow_slug
    where w.worker_id = any (_held_tasks.worker_ids)
    order by f.flow_slug
  loop
    continue when not pgflow._hold_queue(v_flow_slug);
    execute format(
      $query$
        select array_agg(q.msg_id)
        from pgmq.%I q
        where q.vt > clock_timestamp() - interval '5 minutes'
          and q.vt > q.enqueued_at + interval '2 seconds'
      $query$,
      pgmq.format_table_name(v_flow_slug, 'q')
    )
    into v_message_ids;
    return query
      select t.run_id, t.step_slug, t.task_index, t.attempts_count
      from unnest(v_message_ids) as given (message_id)
      cross join lateral (
        select held.*
        from pgflow.step_tasks held
        where held.flow_slug = v_flow_slug
          and held.message_id = given.message_id
          and held.status = 'started'
          and held.last_worker_id = any (_held_tasks.worker_ids)
        offset 0  -- looked up for each message, never joined by a scan
      ) as t;
  end loop;
end;
$$;
