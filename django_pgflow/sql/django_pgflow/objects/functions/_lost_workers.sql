-- Finds the workers that are lost: whose advisory lock is free, or which gave no sign of life for too long. A worker is
-- lost if it looks so twice, half a second apart: it may only be connecting anew. After the server has started nobody
-- can have a lock, so for 10 seconds no conclusion is drawn from that.
-- Called by requeue_lost_tasks. Locks what it changes, and until the transaction ends the advisory locks that were free.
create function django_pgflow._lost_workers()
returns setof uuid
language plpgsql
set search_path to ''
as $$
declare
  v_has_settled boolean := coalesce(
    (select min(a.backend_start) from pg_stat_activity a where a.backend_type = 'checkpointer'),
    pg_postmaster_start_time()
  ) < clock_timestamp() - interval '10 seconds';
  v_worker record;
  v_looks_lost boolean;
begin
  for v_worker in
    select d.worker_id, d.holds_lock, d.lost_at, w.last_heartbeat_at + make_interval(secs => d.silence) as silent_at
    from django_pgflow.worker_details d
    join pgflow.workers w on w.worker_id = d.worker_id
    where w.stopped_at is null
    order by d.worker_id
  loop
    v_looks_lost := v_worker.silent_at < clock_timestamp()
      or v_worker.holds_lock
        and v_has_settled
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
