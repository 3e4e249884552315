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
declare
  v_run_ids uuid[];
  v_step_slugs text[];
  v_task_indexes integer[];
  v_inputs jsonb[];
  v_messages jsonb[];
  v_message_ids bigint[];
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
  tasks as (
    select s.position, s.run_id, s.step_slug, 0 as task_index, null::jsonb as input
    from started s
    where s.step_type = 'single'
    union all
    select s.position, s.run_id, s.step_slug, (element.ordinality - 1)::integer, element.value
    from started s
    cross join lateral jsonb_array_elements(s.elements) with ordinality as element (value, ordinality)
    where s.step_type = 'map'
  ),
  sorted as (
    select * from tasks t order by t.position, t.task_index
  )
  select
    array_agg(t.run_id), array_agg(t.step_slug), array_agg(t.task_index), array_agg(t.input),
    array_agg(pgflow._message(_queue_tasks.flow_slug, t.run_id, t.step_slug, t.task_index))
  into v_run_ids, v_step_slugs, v_task_indexes, v_inputs, v_messages
  from sorted t;

  -- Ids come back in the order of the messages.
  v_message_ids := array(
    select pgmq.send_batch(_queue_tasks.flow_slug, v_messages, _queue_tasks.start_delay)
  );

  insert into pgflow.step_tasks (flow_slug, run_id, step_slug, task_index, message_id, input)
  select _queue_tasks.flow_slug, t.run_id, t.step_slug, t.task_index, t.message_id, t.input
  from unnest(v_run_ids, v_step_slugs, v_task_indexes, v_message_ids, v_inputs)
    as t (run_id, step_slug, task_index, message_id, input);

  perform django_pgflow.notify_queued(_queue_tasks.flow_slug);
end;
$$;
