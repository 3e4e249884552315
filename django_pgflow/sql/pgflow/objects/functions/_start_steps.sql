-- Starts the ready steps that have tasks, and queues the tasks.
-- Called by _advance and start_ready_steps. The caller has locked the runs.
create function pgflow._start_steps(run_ids uuid[])
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_batch record;
begin
  -- One queue and one delay at a time.
  for v_batch in
    with started as (
      update pgflow.step_states s
      set
        status = 'started',
        started_at = greatest(now(), s.created_at),
        remaining_tasks = s.initial_tasks
      from unnest(_start_steps.run_ids) with ordinality as given (run_id, position), pgflow.runs r, pgflow.steps d
      where s.run_id = given.run_id
        and s.status = 'created'
        and s.remaining_deps = 0
        and s.initial_tasks > 0
        and r.run_id = given.run_id
        and r.status = 'started'
        and d.flow_slug = s.flow_slug
        and d.step_slug = s.step_slug
      returning
        given.position,
        s.flow_slug,
        s.run_id,
        s.step_slug,
        coalesce(d.opt_start_delay, 0) as start_delay,
        -- What a map runs over.
        case
          when d.step_type <> 'map' then null
          when d.deps_count = 0 then r.input
          else (
            select parent.output
            from pgflow.deps e
            join pgflow.step_states parent on parent.run_id = s.run_id and parent.step_slug = e.dep_slug
            where e.flow_slug = d.flow_slug and e.step_slug = d.step_slug
          )
        end as elements
    )
    select
      s.flow_slug,
      s.start_delay,
      array_agg(s.run_id order by s.position, s.step_slug) as run_ids,
      array_agg(s.step_slug order by s.position, s.step_slug) as step_slugs,
      array_agg(s.elements order by s.position, s.step_slug) as elements
    from started s
    group by s.flow_slug, s.start_delay
    order by min(s.position)
  loop
    perform pgflow._emit_steps(v_batch.run_ids, v_batch.step_slugs);
    perform pgflow._queue_tasks(
      v_batch.flow_slug, v_batch.start_delay, v_batch.run_ids, v_batch.step_slugs, v_batch.elements
    );
  end loop;
end;
$$;
