-- Keeps a flow's queue from being dropped until the transaction ends; false if it is not there, or just being dropped.
-- Waits for nobody. The lock is the one that pgmq takes exclusively to create and drop a queue.
-- Called by _stalled_tasks and django_pgflow._claim_visible before they read the queue's table.
create function pgflow._hold_queue(flow_slug text)
returns boolean
language plpgsql
set search_path to ''
as $$
begin
  return pg_try_advisory_xact_lock_shared(hashtext('pgmq.queue_' || _hold_queue.flow_slug))
    and exists (select from pgflow.flows f where f.flow_slug = _hold_queue.flow_slug)
    and to_regclass(format('pgmq.%I', pgmq.format_table_name(_hold_queue.flow_slug, 'q'))) is not null;
end;
$$;
