-- Makes the tasks of steps of one flow, each with its message: one for each of the elements of a map, which it gets as its
-- input, and one for a step without elements (NULL). Messages and tasks stand in the order of the arrays, then of the
-- task index.
-- Called by _start_steps. The caller has locked the runs.
create function pgflow._queue_tasks(
  flow_slug text,
  start_delay integer,
  run_ids uuid[],
  step_slugs text[],
  elements jsonb[]
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
  select
    array_agg(t.run_id), array_agg(t.step_slug), array_agg(t.task_index), array_agg(t.input),
    array_agg(pgflow._message(_queue_tasks.flow_slug, t.run_id, t.step_slug, t.task_index))
  into v_run_ids, v_step_slugs, v_task_indexes, v_inputs, v_messages
  from (
    select new.run_id, new.step_slug, task.task_index, task.input
    from unnest(_queue_tasks.run_ids, _queue_tasks.step_slugs, _queue_tasks.elements)
      with ordinality as new (run_id, step_slug, elements, position)
    cross join lateral (
      select 0 as task_index, null::jsonb as input
      where new.elements is null
      union all
      select (element.ordinality - 1)::integer, element.value
      from jsonb_array_elements(new.elements) with ordinality as element (value, ordinality)
    ) as task
    order by new.position, task.task_index
  ) as t;

  -- As pgmq.send_batch does. Ids are given in the order of the messages.
  execute format(
    $query$
      with sent as (
        insert into pgmq.%I (vt, message)
        select clock_timestamp() + make_interval(secs => $2), new.message
        from unnest($1) with ordinality as new (message, position)
        order by new.position
        returning msg_id
      )
      select array_agg(s.msg_id order by s.msg_id) from sent s
    $query$,
    pgmq.format_table_name(_queue_tasks.flow_slug, 'q')
  )
  into v_message_ids
  using v_messages, _queue_tasks.start_delay;

  insert into pgflow.step_tasks (flow_slug, run_id, step_slug, task_index, message_id, input)
  select _queue_tasks.flow_slug, t.run_id, t.step_slug, t.task_index, t.message_id, t.input
  from unnest(v_run_ids, v_step_slugs, v_task_indexes, v_message_ids, v_inputs)
    as t (run_id, step_slug, task_index, message_id, input);

  perform django_pgflow.notify_queued(_queue_tasks.flow_slug);
end;
$$;
