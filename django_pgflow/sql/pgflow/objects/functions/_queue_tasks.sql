-- Makes the tasks of steps of one flow, each with its message, and its element if the step is a map.
-- Messages and tasks stand in the order of the arrays, then of the task index.
-- Called by _start_steps. The caller has locked the runs.
create function pgflow._queue_tasks(
  flow_slug text,
  start_delay integer,
  run_ids uuid[],
  step_slugs text[]
)
returns void
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
begin
  with started as materialized (
    select
      new.position,
      s.run_id,
      s.step_slug,
      d.step_type,
      -- What a map runs over: the output of its parent, else the input of the run.
      case when d.step_type = 'map' then coalesce(parent.output, r.input) end as elements
    from unnest(_queue_tasks.run_ids, _queue_tasks.step_slugs) with ordinality as new (run_id, step_slug, position)
    join pgflow.step_states s on s.run_id = new.run_id and s.step_slug = new.step_slug
    join pgflow.runs r on r.run_id = s.run_id
    join pgflow.steps d on d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
    left join pgflow.deps e
      on d.step_type = 'map' and e.flow_slug = d.flow_slug and e.step_slug = d.step_slug
    left join pgflow.step_states parent on parent.run_id = s.run_id and parent.step_slug = e.dep_slug
  ),
  tasks as materialized (
    select
      row_number() over (order by t.position, t.task_index) as position,
      t.run_id,
      t.step_slug,
      t.task_index,
      t.input
    from (
      select s.position, s.run_id, s.step_slug, 0 as task_index, null::jsonb as input
      from started s
      where s.step_type = 'single'
      union all
      select s.position, s.run_id, s.step_slug, (element.ordinality - 1)::integer, element.value
      from started s
      cross join lateral jsonb_array_elements(s.elements) with ordinality as element (value, ordinality)
      where s.step_type = 'map'
    ) as t
  ),
  messages as (
    select sent.message_id, sent.position
    from pgmq.send_batch(
      _queue_tasks.flow_slug,
      (
        select array_agg(
          jsonb_build_object(
            'flow_slug', _queue_tasks.flow_slug,
            'run_id', t.run_id,
            'step_slug', t.step_slug,
            'task_index', t.task_index
          )
          order by t.position
        )
        from tasks t
      ),
      _queue_tasks.start_delay
    ) with ordinality as sent (message_id, position)
  )
  insert into pgflow.step_tasks (flow_slug, run_id, step_slug, task_index, message_id, input)
  select _queue_tasks.flow_slug, t.run_id, t.step_slug, t.task_index, m.message_id, t.input
  from tasks t
  join messages m using (position);

  perform django_pgflow.notify_queued(_queue_tasks.flow_slug);
end;
$$;
