-- Gives back the tasks of lost workers, whatever their timeout; the interrupted attempts do not count. See _lost_workers
-- and pgflow._give_back_tasks. A worker whose tasks are all given back is noted as stopped. The worker that asks, if it
-- is one, says which it is. Then wakes tasks that wait for places that are free.
-- Returns how many workers are alive, were found lost, and how many tasks were given back.
-- Called by workers, several times a second all together; several at once do no harm, for only one does the work.
create function django_pgflow.requeue_lost_tasks(
  worker_id uuid default null,
  out alive_count integer,
  out lost_count integer,
  out requeued_count integer
)
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
  v_worker_ids uuid[];
  v_run_ids uuid[];
  v_step_slugs text[];
  v_task_indexes integer[];
begin
  lost_count := 0;
  requeued_count := 0;
  if pg_try_advisory_xact_lock(hashtextextended('django_pgflow.requeue_lost_tasks', 0)) then
    v_worker_ids := array(select django_pgflow._lost_workers(requeue_lost_tasks.worker_id));
    if v_worker_ids <> '{}' then
      select array_agg(held.run_id), array_agg(held.step_slug), array_agg(held.task_index)
      into v_run_ids, v_step_slugs, v_task_indexes
      from django_pgflow._held_tasks(v_worker_ids) held;
      if v_run_ids is not null then
        requeued_count := pgflow._give_back_tasks(
          v_run_ids, v_step_slugs, v_task_indexes,
          forgiving => true,
          -- From the third on the task was alone in its worker's hands; one or two may have been cut connections.
          most_requeues => 5,
          reason => 'Poison: its worker died while it had the task, as five workers had before'
        );
      end if;
      -- Runs that somebody held are left for the next time.
      update pgflow.workers w
      set stopped_at = greatest(now(), w.started_at)
      where w.worker_id = any (v_worker_ids)
        and not exists (
          select from django_pgflow._held_tasks(array[w.worker_id]) held
          join pgflow.runs r on r.run_id = held.run_id
          where r.status = 'started'
        );
      get diagnostics lost_count = row_count;
    end if;
    perform django_pgflow.wake_limited_tasks();
  end if;
  select count(*) into alive_count
  from django_pgflow.worker_details d
  join pgflow.workers w on w.worker_id = d.worker_id
  where w.stopped_at is null and d.lost_at is null;
end;
$$;
