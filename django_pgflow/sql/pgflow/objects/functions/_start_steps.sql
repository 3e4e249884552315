-- Starts the ready steps that have tasks, and queues the tasks.
-- Called by _advance and start_ready_steps. The caller has locked the runs.
create function pgflow._start_steps(run_ids uuid[])
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_run_ids uuid[];
  v_step_slugs text[];
  v_batch record;
begin
  with started as (
    update pgflow.step_states s
    set
      status = 'started',
      started_at = greatest(now(), s.created_at),
      remaining_tasks = s.initial_tasks
    from unnest(_start_steps.run_ids) with ordinality as given (run_id, position), pgflow.runs r
    where s.run_id = given.run_id
      and s.status = 'created'
      and s.remaining_deps = 0
      and s.initial_tasks > 0
      and r.run_id = given.run_id
      and r.status = 'started'
    returning given.position, s.run_id, s.step_slug
  )
  select
    array_agg(s.run_id order by s.position, s.step_slug),
    array_agg(s.step_slug order by s.position, s.step_slug)
  into v_run_ids, v_step_slugs
  from started s;

  if v_run_ids is null then
    return;
  end if;

  perform pgflow._emit_steps(v_run_ids, v_step_slugs);

  -- One queue and one delay at a time.
  for v_batch in
    select
      s.flow_slug,
      coalesce(d.opt_start_delay, 0) as start_delay,
      array_agg(s.run_id order by new.position) as run_ids,
      array_agg(s.step_slug order by new.position) as step_slugs
    from unnest(v_run_ids, v_step_slugs) with ordinality as new (run_id, step_slug, position)
    join pgflow.step_states s on s.run_id = new.run_id and s.step_slug = new.step_slug
    join pgflow.steps d on d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
    group by s.flow_slug, coalesce(d.opt_start_delay, 0)
    order by min(new.position)
  loop
    perform pgflow._queue_tasks(v_batch.flow_slug, v_batch.start_delay, v_batch.run_ids, v_batch.step_slugs);
  end loop;
end;
$$;
