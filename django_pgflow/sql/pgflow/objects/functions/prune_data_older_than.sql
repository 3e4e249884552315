-- Deletes what has been over for longer than the interval: workers not heard of since, runs that ended before with all
-- that belongs to them, and archived messages. What is exactly that old stays, and so do running runs, however old.
-- Called by whoever keeps the history short. Locks the runs by id, then deletes children first.
create function pgflow.prune_data_older_than(retention_interval interval)
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_cutoff timestamptz := now() - prune_data_older_than.retention_interval;
  v_run_ids uuid[] := array(
    select r.run_id
    from pgflow.runs r
    where r.status in ('completed', 'failed')
      and (r.completed_at < v_cutoff or r.failed_at < v_cutoff)
    order by r.run_id
    for update
  );
  v_batch record;
begin
  for v_batch in
    select t.flow_slug, array_agg(t.message_id order by t.message_id) as message_ids
    from pgflow.step_tasks t
    join pgmq.meta q on q.queue_name = t.flow_slug
    where t.run_id = any (v_run_ids)
      and t.message_id is not null
    group by t.flow_slug
    order by t.flow_slug
  loop
    perform pgmq.delete(v_batch.flow_slug, v_batch.message_ids);
  end loop;

  -- Other rows of schema django_pgflow go with the tasks and runs that they belong to.
  delete from django_pgflow.limited_tasks where run_id = any (v_run_ids);
  delete from pgflow.step_tasks where run_id = any (v_run_ids);
  delete from pgflow.step_states where run_id = any (v_run_ids);
  delete from pgflow.runs where run_id = any (v_run_ids);

  delete from pgflow.workers where last_heartbeat_at < v_cutoff;

  for v_batch in
    select pgmq.format_table_name(f.flow_slug, 'a') as archive
    from pgflow.flows f
    order by f.flow_slug
  loop
    continue when to_regclass(format('pgmq.%I', v_batch.archive)) is null;
    execute format('delete from pgmq.%I where archived_at < $1', v_batch.archive) using v_cutoff;
  end loop;
end;
$$;
