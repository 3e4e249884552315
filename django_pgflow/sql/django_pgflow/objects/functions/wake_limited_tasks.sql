-- Wakes waiting tasks of limited steps wherever places are free although nobody reported anything: runs were
-- cancelled, workers were lost, a task began to wait at the very moment in which a place was given up. Drops rows of
-- admitted tasks that have ended or were given back.
-- Called by requeue_lost_tasks, about four times a second. Locks as _wake_waiting.
create function django_pgflow.wake_limited_tasks()
returns void
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
  v_taken jsonb;
  v_keys text[];
begin
  if not exists (select from django_pgflow.limited_tasks) then
    return;
  end if;

  with admitted as materialized (
    select a.run_id, a.step_slug, a.task_index
    from django_pgflow.limited_tasks a
    where a.is_admitted
  )
  delete from django_pgflow.limited_tasks d
  using (
    select l.run_id, l.step_slug, l.task_index
    from admitted a
    join django_pgflow.limited_tasks l
      on l.run_id = a.run_id and l.step_slug = a.step_slug and l.task_index = a.task_index
    where l.is_admitted
      and not exists (
        select from pgflow.step_tasks t
        where t.run_id = a.run_id
          and t.step_slug = a.step_slug
          and t.task_index = a.task_index
          and t.status = 'started'
      )
    for update of l skip locked
  ) as gone
  where d.run_id = gone.run_id
    and d.step_slug = gone.step_slug
    and d.task_index = gone.task_index;

  -- Counted for all keys together: one by one it would take most of the time.
  with admitted as materialized (
    select a.key, a.run_id, a.step_slug, a.task_index
    from django_pgflow.limited_tasks a
    where a.is_admitted
  ),
  taken as (
    select a.key, count(*) as places
    from admitted a
    join pgflow.step_tasks t on t.run_id = a.run_id and t.step_slug = a.step_slug and t.task_index = a.task_index
    where t.status = 'started'
    group by a.key
  )
  select coalesce(jsonb_object_agg(t.key, t.places), '{}') into v_taken from taken t;

  -- From each key to the next one in the index, so that it does not matter how many tasks wait for one.
  with recursive keys as (
    (
      select w.key, w.flow_slug, w.step_slug
      from django_pgflow.limited_tasks w
      where not w.is_admitted
      order by w.key
      limit 1
    )
    union all
    select following.key, following.flow_slug, following.step_slug
    from keys k
    cross join lateral (
      select w.key, w.flow_slug, w.step_slug
      from django_pgflow.limited_tasks w
      where w.key > k.key and not w.is_admitted
      order by w.key
      limit 1
    ) as following
  )
  select array_agg(k.key)
  into v_keys
  from keys k
  left join django_pgflow.concurrency_limits l on l.flow_slug = k.flow_slug and l.step_slug = k.step_slug
  where l.max_count is null
    or l.max_count > coalesce((v_taken ->> k.key)::integer, 0);
  if v_keys is not null then
    perform django_pgflow._wake_waiting(v_keys);
  end if;
end;
$$;
