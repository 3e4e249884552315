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
begin
  with given as (
    select *
    from unnest(_requeue_tasks.run_ids, _requeue_tasks.step_slugs, _requeue_tasks.task_indexes)
      with ordinality as g (run_id, step_slug, task_index, position)
  ),
  messages as (
    select sent.message_id, sent.position
    from pgmq.send_batch(
      _requeue_tasks.flow_slug,
      (
        select array_agg(
          jsonb_build_object(
            'flow_slug', _requeue_tasks.flow_slug,
            'run_id', g.run_id,
            'step_slug', g.step_slug,
            'task_index', g.task_index
          )
          order by g.position
        )
        from given g
      )
    ) with ordinality as sent (message_id, position)
  )
  update pgflow.step_tasks t
  set
    status = 'queued',
    message_id = m.message_id,
    attempts_count = 0,
    requeued_count = 0,
    output = null,
    started_at = null,
    failed_at = null,
    last_worker_id = null,
    permanently_stalled_at = null
  from given g
  join messages m using (position)
  where t.run_id = g.run_id
    and t.step_slug = g.step_slug
    and t.task_index = g.task_index;

  perform django_pgflow.notify_queued(_requeue_tasks.flow_slug);
end;
$$;
