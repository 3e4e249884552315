-- Takes the reports of workers, in sets, and moves tasks, steps and runs on. Arrays in parallel, a place a report.
-- Outcomes: completed; failed (retried while attempts are left); exhausted (failed, not retried); released (given
-- back, the attempt not counted). Returns the places of the reports that counted.
--
-- A report counts if task, step and run are started and, where worker_id or an attempt is given, the task is in the
-- hands of that worker at that attempt. All others are late or foreign: see _report_late.
--
-- Called by complete_task, fail_task, requeue_stalled_tasks and django_pgflow.exchange.
-- Locks runs by id, then step states by run and slug, then tasks, then queue rows.
create function pgflow._report_tasks(
  run_ids uuid[],
  step_slugs text[],
  task_indexes integer[],
  outcomes text[],
  outputs jsonb[] default null,
  error_messages text[] default null,
  attempts integer[] default null,
  worker_id uuid default null
)
returns integer[]
language plpgsql
set search_path to ''
as $$
declare
  v_positions integer[];
  v_run_ids uuid[];
  v_step_slugs text[];
  v_verdicts text[];
  v_errors text[];
  v_flow_slugs text[];
  v_message_ids bigint[];
  v_delays integer[];
begin
  if not _report_tasks.outcomes <@ array['completed', 'failed', 'exhausted', 'released'] then
    raise exception 'Outcomes must be completed, failed, exhausted or released, not: %',
      array_to_string(_report_tasks.outcomes, ', ', 'NULL');
  end if;

  perform from pgflow.runs r
  where r.run_id = any (_report_tasks.run_ids)
  order by r.run_id
  for no key update;

  perform from pgflow.step_states s
  where (s.run_id, s.step_slug) in (select * from unnest(_report_tasks.run_ids, _report_tasks.step_slugs))
  order by s.run_id, s.step_slug
  for no key update;

  with reports as materialized (
    -- A task reported twice in one set counts once.
    select distinct on (t.run_id, t.step_slug, t.task_index)
      given.position,
      t.run_id,
      t.step_slug,
      t.task_index,
      t.attempts_count - t.forgiven_count as charged_count,
      given.output,
      coalesce(d.opt_base_delay, f.opt_base_delay) as base_delay,
      case
        when given.outcome = 'completed' and violation.output_type is not null then 'violation'
        when given.outcome = 'completed' then 'completed'
        when given.outcome = 'released' then 'released'
        when given.outcome = 'failed'
          and t.attempts_count - t.forgiven_count < coalesce(d.opt_max_attempts, f.opt_max_attempts)
          then 'retry'
        else 'failed'
      end as verdict,
      case
        when given.outcome = 'completed'
          then '[TYPE_VIOLATION] Produced ' || violation.output_type || ' instead of array'
        when given.outcome <> 'released' then given.error_message
      end as error_message,
      case
        when given.outcome = 'completed'
          then '[TYPE_VIOLATION] Map step ' || violation.child_slug || ' expects array input but dependency '
            || t.step_slug || ' produced ' || violation.output_type
        else given.error_message
      end as step_error
    from unnest(
      _report_tasks.run_ids, _report_tasks.step_slugs, _report_tasks.task_indexes, _report_tasks.outcomes,
      _report_tasks.outputs, _report_tasks.error_messages, _report_tasks.attempts
    ) with ordinality as given (run_id, step_slug, task_index, outcome, output, error_message, attempt, position)
    join pgflow.step_tasks t
      on t.run_id = given.run_id and t.step_slug = given.step_slug and t.task_index = given.task_index
    join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
    join pgflow.runs r on r.run_id = t.run_id
    join pgflow.steps d on d.flow_slug = t.flow_slug and d.step_slug = t.step_slug
    join pgflow.flows f on f.flow_slug = t.flow_slug
    left join lateral (
      -- A single step whose map child waits for an array must give one.
      select e.step_slug as child_slug, coalesce(jsonb_typeof(given.output), 'null') as output_type
      from pgflow.deps e
      join pgflow.steps child on child.flow_slug = e.flow_slug and child.step_slug = e.step_slug
      join pgflow.step_states c on c.run_id = t.run_id and c.step_slug = e.step_slug
      where d.step_type = 'single'
        and e.flow_slug = t.flow_slug
        and e.dep_slug = t.step_slug
        and child.step_type = 'map'
        and c.initial_tasks is null
        and jsonb_typeof(given.output) is distinct from 'array'
      order by child.step_index
      limit 1
    ) as violation on given.outcome = 'completed'
    where t.status = 'started'
      and s.status = 'started'
      and r.status = 'started'
      and (_report_tasks.worker_id is null or t.last_worker_id = _report_tasks.worker_id)
      and (given.attempt is null or t.attempts_count = given.attempt)
    order by t.run_id, t.step_slug, t.task_index, given.position
  ),
  reported as (
    update pgflow.step_tasks t
    set
      status = case report.verdict
        when 'completed' then 'completed'
        when 'retry' then 'queued'
        when 'released' then 'queued'
        else 'failed'
      end,
      forgiven_count = t.forgiven_count + case when report.verdict = 'released' then 1 else 0 end,
      started_at = case when report.verdict in ('retry', 'released') then null else t.started_at end,
      last_worker_id = case when report.verdict = 'released' then null else t.last_worker_id end,
      completed_at = case when report.verdict = 'completed' then greatest(now(), t.started_at) end,
      failed_at = case when report.verdict in ('failed', 'violation') then greatest(now(), t.started_at) end,
      output = case when report.verdict in ('completed', 'violation') then report.output end,
      error_message = coalesce(report.error_message, t.error_message)
    from reports report
    where t.run_id = report.run_id
      and t.step_slug = report.step_slug
      and t.task_index = report.task_index
    returning
      report.position, t.run_id, t.step_slug, report.verdict, report.step_error, t.flow_slug, t.message_id,
      case report.verdict
        when 'retry' then pgflow._retry_delay(report.base_delay, report.charged_count)
        when 'released' then 0
      end as delay
  )
  select
    array_agg(r.position), array_agg(r.run_id), array_agg(r.step_slug), array_agg(r.verdict),
    array_agg(r.step_error), array_agg(r.flow_slug), array_agg(r.message_id), array_agg(r.delay)
  into v_positions, v_run_ids, v_step_slugs, v_verdicts, v_errors, v_flow_slugs, v_message_ids, v_delays
  from (select * from reported order by reported.position) as r;

  if v_positions is not null then
    perform pgflow._move_steps(v_run_ids, v_step_slugs, v_verdicts, v_errors);

    perform pgflow._delay_messages(
      array_agg(m.flow_slug), array_agg(m.message_id), array_agg(m.delay)
    )
    from unnest(v_flow_slugs, v_message_ids, v_delays) as m (flow_slug, message_id, delay)
    where m.delay is not null
    having count(*) > 0;

    perform pgflow._archive_messages(array_agg(m.flow_slug), array_agg(m.message_id))
    from unnest(v_flow_slugs, v_message_ids, v_delays) as m (flow_slug, message_id, delay)
    where m.delay is null
    having count(*) > 0;
  end if;

  if coalesce(cardinality(v_positions), 0) < cardinality(_report_tasks.run_ids) then
    perform pgflow._report_late(
      array_agg(given.run_id), array_agg(given.step_slug), array_agg(given.task_index),
      array_agg(given.outcome), array_agg(given.error_message)
    )
    from unnest(
      _report_tasks.run_ids, _report_tasks.step_slugs, _report_tasks.task_indexes, _report_tasks.outcomes,
      _report_tasks.error_messages
    ) with ordinality as given (run_id, step_slug, task_index, outcome, error_message, position)
    where given.position <> all (coalesce(v_positions, '{}'));
  end if;

  return coalesce(v_positions, '{}');
end;
$$;
