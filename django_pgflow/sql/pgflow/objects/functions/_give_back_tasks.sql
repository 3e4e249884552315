-- Gives back started tasks whose worker was lost. A task that was given back so often before is failed for good, as if
-- its attempts were used up: it may be what its workers died of. Arrays in parallel; tasks that are no longer started, and those of
-- runs that others hold, are passed over. Forgiving, the interrupted attempt does not count. Returns how many were given
-- back.
-- Called by requeue_stalled_tasks and django_pgflow.requeue_lost_tasks. Locks runs by id, waiting for none, then as
-- _report_tasks does.
create function pgflow._give_back_tasks(
  run_ids uuid[],
  step_slugs text[],
  task_indexes integer[],
  forgiving boolean,
  most_requeues integer,
  reason text
)
returns integer
language plpgsql
set search_path to ''
as $$
declare
  v_run_ids uuid[];
  v_step_slugs text[];
  v_task_indexes integer[];
  v_lost_run_ids uuid[];
  v_lost_step_slugs text[];
  v_lost_task_indexes integer[];
  v_flow_slugs text[];
  v_message_ids bigint[];
begin
  select array_agg(held.run_id), array_agg(held.step_slug), array_agg(held.task_index)
  into v_run_ids, v_step_slugs, v_task_indexes
  from unnest(_give_back_tasks.run_ids, _give_back_tasks.step_slugs, _give_back_tasks.task_indexes)
    as held (run_id, step_slug, task_index)
  where held.run_id in (
    select locked.run_id
    from (
      select r.run_id
      from pgflow.runs r
      where r.run_id = any (_give_back_tasks.run_ids) and r.status = 'started'
      order by r.run_id
      for no key update skip locked
    ) as locked
  );

  perform pgflow._lock_steps(v_run_ids, v_step_slugs);

  -- Used up: noted, then failed like any other task.
  with used_up as (
    update pgflow.step_tasks t
    set permanently_stalled_at = now()
    from unnest(v_run_ids, v_step_slugs, v_task_indexes) as held (run_id, step_slug, task_index)
    where t.run_id = held.run_id
      and t.step_slug = held.step_slug
      and t.task_index = held.task_index
      and t.status = 'started'
      and t.requeued_count >= _give_back_tasks.most_requeues
    returning t.run_id, t.step_slug, t.task_index
  )
  select array_agg(u.run_id), array_agg(u.step_slug), array_agg(u.task_index)
  into v_lost_run_ids, v_lost_step_slugs, v_lost_task_indexes
  from used_up u;
  if v_lost_run_ids is not null then
    perform pgflow._report_tasks(
      run_ids => v_lost_run_ids,
      step_slugs => v_lost_step_slugs,
      task_indexes => v_lost_task_indexes,
      outcomes => array_fill('exhausted'::text, array[cardinality(v_lost_run_ids)]),
      error_messages => array_fill(_give_back_tasks.reason, array[cardinality(v_lost_run_ids)])
    );
  end if;

  with requeued as (
    update pgflow.step_tasks t
    set
      status = 'queued',
      started_at = null,
      last_worker_id = null,
      forgiven_count = t.forgiven_count + case when _give_back_tasks.forgiving then 1 else 0 end,
      requeued_count = t.requeued_count + 1,
      last_requeued_at = now()
    from unnest(v_run_ids, v_step_slugs, v_task_indexes) as held (run_id, step_slug, task_index)
    where t.run_id = held.run_id
      and t.step_slug = held.step_slug
      and t.task_index = held.task_index
      and t.status = 'started'
      and t.requeued_count < _give_back_tasks.most_requeues
    returning t.flow_slug, t.message_id
  )
  select array_agg(q.flow_slug), array_agg(q.message_id)
  into v_flow_slugs, v_message_ids
  from requeued q;
  if v_flow_slugs is null then
    return 0;
  end if;

  perform pgflow._delay_messages(v_flow_slugs, v_message_ids, array_fill(0, array[cardinality(v_flow_slugs)]));
  perform django_pgflow.notify_queued(q.flow_slug) from (select distinct unnest(v_flow_slugs) as flow_slug) as q;
  return cardinality(v_flow_slugs);
end;
$$;
