-- Starts the queued tasks behind messages of one flow for a worker, hides the messages for the tasks' timeout plus
-- 2 seconds, and returns what a worker needs. A task that another claims at the same time is passed over, so that
-- nobody waits and no task is handed out twice.
--
-- Input of a map task is its element; of others an object with the outputs of the completed dependencies by slug,
-- and, unless omit_run, the run's input as "run". An attempt is counted from 1 and never comes twice; max_attempts
-- counts those that were forgiven, too.
--
-- Called by start_tasks and django_pgflow.exchange. Locks tasks, waiting for none, then queue rows.
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
  flow_input jsonb
)
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
declare
  v_run_ids uuid[];
  v_step_slugs text[];
  v_task_indexes integer[];
  v_message_ids bigint[];
  v_delays integer[];
begin
  with candidates as (
    select t.run_id, t.step_slug, t.task_index
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
      last_worker_id = _claim_tasks.worker_id
    from candidates c
    where t.run_id = c.run_id
      and t.step_slug = c.step_slug
      and t.task_index = c.task_index
    returning t.run_id, t.step_slug, t.task_index, t.message_id
  )
  select
    array_agg(c.run_id), array_agg(c.step_slug), array_agg(c.task_index), array_agg(c.message_id),
    array_agg(coalesce(d.opt_timeout, f.opt_timeout) + 2)
  into v_run_ids, v_step_slugs, v_task_indexes, v_message_ids, v_delays
  from claimed c
  join pgflow.steps d on d.flow_slug = _claim_tasks.flow_slug and d.step_slug = c.step_slug
  join pgflow.flows f on f.flow_slug = _claim_tasks.flow_slug;

  if v_run_ids is null then
    return;
  end if;
  perform pgflow.set_vt_batch(_claim_tasks.flow_slug, v_message_ids, v_delays);

  return query
    select
      t.run_id,
      t.step_slug,
      t.task_index,
      t.attempts_count,
      case
        when d.step_type = 'map' then t.input
        else
          case when _claim_tasks.omit_run then '{}'::jsonb else jsonb_build_object('run', r.input) end
          || case
            when d.deps_count = 0 then '{}'::jsonb
            else pgflow._dependency_outputs(t.flow_slug, t.run_id, t.step_slug)
          end
      end,
      t.message_id,
      coalesce(d.opt_max_attempts, f.opt_max_attempts) + t.forgiven_count,
      coalesce(d.opt_timeout, f.opt_timeout),
      case when d.step_type = 'single' and d.deps_count = 0 then r.input end
    from unnest(v_run_ids, v_step_slugs, v_task_indexes) as claimed (run_id, step_slug, task_index)
    join pgflow.step_tasks t
      on t.run_id = claimed.run_id and t.step_slug = claimed.step_slug and t.task_index = claimed.task_index
    join pgflow.runs r on r.run_id = t.run_id
    join pgflow.steps d on d.flow_slug = t.flow_slug and d.step_slug = t.step_slug
    join pgflow.flows f on f.flow_slug = t.flow_slug
    order by t.message_id;
end;
$$;
