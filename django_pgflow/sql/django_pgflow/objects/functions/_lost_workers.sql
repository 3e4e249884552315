-- Finds the workers that are lost: whose advisory lock is free, or which gave no sign of life for too long. A worker is
-- lost if it looks so twice, half a second apart: it may only be connecting anew. While the server was down nobody could
-- give a sign of life, so silence counts from its start at the earliest; and for 5 seconds after that, in which locks are
-- being taken again, no conclusion is drawn from a free one. The worker that asks is passed over: it lives, and its own
-- lock would look free to it.
-- Called by requeue_lost_tasks. Locks what it changes, and until the transaction ends the advisory locks that were free.
create function django_pgflow._lost_workers(asking_worker_id uuid)
returns setof uuid
language plpgsql
set search_path to ''
as $$
declare
  v_server_started_at timestamptz := django_pgflow._server_started_at();
  v_worker record;
  v_looks_lost boolean;
begin
  for v_worker in
    select
      d.worker_id, d.holds_lock, d.lost_at,
      greatest(w.last_heartbeat_at, v_server_started_at) + make_interval(secs => d.silence) as silent_at
    from django_pgflow.worker_details d
    join pgflow.workers w on w.worker_id = d.worker_id
    where w.stopped_at is null
      and d.worker_id is distinct from _lost_workers.asking_worker_id
    order by d.worker_id
  loop
    v_looks_lost := v_worker.silent_at < clock_timestamp()
      or v_worker.holds_lock
        and v_server_started_at < clock_timestamp() - interval '5 seconds'
        and pg_try_advisory_xact_lock(django_pgflow.worker_lock(v_worker.worker_id));
    if v_looks_lost and v_worker.lost_at < clock_timestamp() - interval '0.5 seconds' then
      return next v_worker.worker_id;
    elsif v_looks_lost and v_worker.lost_at is null then
      update django_pgflow.worker_details d
      set lost_at = clock_timestamp()
      where d.worker_id = v_worker.worker_id;
    elsif not v_looks_lost and v_worker.lost_at is not null then
      update django_pgflow.worker_details d
      set lost_at = null
      where d.worker_id = v_worker.worker_id;
    end if;
  end loop;
end;
$$;
