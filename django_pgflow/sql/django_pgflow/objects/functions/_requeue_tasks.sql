-- Queues ended tasks of one flow again, with fresh attempts and new messages. Arrays in parallel.
-- Called by _resume_runs. The caller has locked the runs.
create function django_pgflow._requeue_tasks(
  flow_slug text,
  run_ids uuid[],
  step_slugs text[],
  task_indexes integer[]
)
returns void
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
declare
  v_message_ids bigint[] := array(
    select pgmq.send_batch(
      _requeue_tasks.flow_slug,
      array(
        select pgflow._message(_requeue_tasks.flow_slug, given.run_id, given.step_slug, given.task_index)
        from unnest(_requeue_tasks.run_ids, _requeue_tasks.step_slugs, _requeue_tasks.task_indexes)
          as given (run_id, step_slug, task_index)
      )
    )
  );
begin
  update pgflow.step_tasks t
  set
    status = 'queued',
    message_id = given.message_id,
    forgiven_count = t.attempts_count,
    requeued_count = 0,
    output = null,
    started_at = null,
    failed_at = null,
    last_worker_id = null,
    permanently_stalled_at = null
  from unnest(_requeue_tasks.run_ids, _requeue_tasks.step_slugs, _requeue_tasks.task_indexes, v_message_ids)
    as given (run_id, step_slug, task_index, message_id)
  where t.run_id = given.run_id
    and t.step_slug = given.step_slug
    and t.task_index = given.task_index;

  perform django_pgflow.notify_queued(_requeue_tasks.flow_slug);
end;
$$;
