-- The queue message that announces a task.
-- Called by _queue_tasks and django_pgflow._requeue_tasks.
create function pgflow._message(
  flow_slug text,
  run_id uuid,
  step_slug text,
  task_index integer
)
returns jsonb
language plpgsql
immutable
set search_path to ''
as $$
begin
  return jsonb_build_object(
    'flow_slug', _message.flow_slug,
    'run_id', _message.run_id,
    'step_slug', _message.step_slug,
    'task_index', _message.task_index
  );
end;
$$;
