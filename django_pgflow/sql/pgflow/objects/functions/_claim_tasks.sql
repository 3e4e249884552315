-- Starts the queued tasks behind messages of one flow for a worker, and returns what the worker needs. A task that
-- another claims at the same time is passed over, so that nobody waits and no task is handed out twice. The caller
-- hides the messages for the tasks' timeout plus 2 seconds.
--
-- Input of a map task is its element; of others an object with the outputs of the completed dependencies by slug,
-- and, unless omit_run, the run's input as "run". An attempt is counted from 1 and never comes twice; max_attempts
-- counts those that were forgiven, too.
--
-- Called by start_tasks and django_pgflow._claim_visible. Locks tasks, waiting for none.
create function pgflow._claim_tasks(
  flow_slug text,
  msg_ids bigint[],
  worker_id uuid,
  omit_run boolean
)
returns table (
  run_id uuid,
  step_slug text,
  task_index integer,
  attempt integer,
  input jsonb,
  msg_id bigint,
  max_attempts integer,
  timeout integer,
  flow_input jsonb,
  requeued_count integer
)
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
begin
  return query
    with candidates as (
      select t.run_id, t.step_slug, t.task_index, r.input as run_input
      from unnest(_claim_tasks.msg_ids) as given (message_id)
      -- A subquery that locks is looked up for each message; a join could be planned as a scan of the flow's tasks.
      cross join lateral (
        select queued.run_id, queued.step_slug, queued.task_index
        from pgflow.step_tasks queued
        where queued.flow_slug = _claim_tasks.flow_slug
          and queued.message_id = given.message_id
          and queued.status = 'queued'
        for no key update skip locked
      ) as t
      join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
      join pgflow.runs r on r.run_id = t.run_id
      where s.status = 'started'
        and r.status = 'started'
    ),
    claimed as (
      update pgflow.step_tasks t
      set
        status = 'started',
        attempts_count = t.attempts_count + 1,
        started_at = greatest(now(), t.queued_at),
        last_worker_id = _claim_tasks.worker_id,
        extended_until = null
      from candidates c
      where t.run_id = c.run_id
        and t.step_slug = c.step_slug
        and t.task_index = c.task_index
      returning
        t.run_id, t.step_slug, t.task_index, t.attempts_count, t.forgiven_count, t.requeued_count, t.message_id,
        t.input, c.run_input
    )
    select
      t.run_id,
      t.step_slug,
      t.task_index,
      t.attempts_count,
      case
        when d.step_type = 'map' then t.input
        else
          case when _claim_tasks.omit_run then '{}'::jsonb else jsonb_build_object('run', t.run_input) end
          || case
            when d.deps_count = 0 then '{}'::jsonb
            else pgflow._dependency_outputs(d.flow_slug, t.run_id, t.step_slug)
          end
      end,
      t.message_id,
      coalesce(d.opt_max_attempts, f.opt_max_attempts) + t.forgiven_count,
      coalesce(d.opt_timeout, f.opt_timeout),
      case when d.step_type = 'single' and d.deps_count = 0 then t.run_input end,
      t.requeued_count
    from claimed t
    join pgflow.steps d on d.flow_slug = _claim_tasks.flow_slug and d.step_slug = t.step_slug
    join pgflow.flows f on f.flow_slug = _claim_tasks.flow_slug
    order by t.message_id;
end;
$$;
