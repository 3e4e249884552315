-- Does nothing but say so. Once it read a queue and started the tasks in one statement, which cannot see what was
-- queued while it waited.
create function pgflow.poll_for_tasks(
  queue_name text,
  vt integer,
  qty integer,
  max_poll_seconds integer default 5,
  poll_interval_ms integer default 100
)
returns setof pgflow.step_task_record
language plpgsql
set search_path to ''
as $$
begin
  raise notice 'DEPRECATED: poll_for_tasks is deprecated and will be removed. Read the queue with '
    'pgmq.read_with_poll, then call pgflow.start_tasks in a new transaction.';
end;
$$;
