-- Takes the reports of workers, in sets, and moves tasks, steps and runs on. Arrays in parallel, a place a report.
-- Outcomes: completed; failed (retried while attempts are left); exhausted (failed, not retried); released (given
-- back, the attempt not counted); skipped (the handler had its step skipped). A delay says after how many seconds a
-- failed or released task may be claimed again, in place of the flow's rule or of at once. Every failed attempt is
-- kept in django_pgflow.failed_attempts. Returns the places of the reports that counted.
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
  worker_id uuid default null,
  delays integer[] default null,
  error_classes text[] default null,
  tracebacks text[] default null
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
  if not _report_tasks.outcomes <@ array['completed', 'failed', 'exhausted', 'released', 'skipped'] then
    raise exception 'Outcomes must be completed, failed, exhausted, released or skipped, not: %',
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
      t.attempts_count,
      t.last_worker_id,
      t.started_at,
      given.output,
      given.error_class,
      given.traceback,
      case given.outcome
        when 'failed' then coalesce(
          given.delay,
          pgflow._retry_delay(
            coalesce(d.opt_base_delay, f.opt_base_delay), t.attempts_count - t.forgiven_count
          )
        )
        when 'released' then coalesce(given.delay, 0)
      end as delay,
      case
        when given.outcome = 'completed' and violation.output_type is not null then 'violation'
        when given.outcome = 'completed' then 'completed'
        when given.outcome in ('released', 'skipped') then given.outcome
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
      _report_tasks.outputs, _report_tasks.error_messages, _report_tasks.attempts, _report_tasks.delays,
      _report_tasks.error_classes, _report_tasks.tracebacks
    ) with ordinality as given (
      run_id, step_slug, task_index, outcome, output, error_message, attempt, delay, error_class, traceback, position
    )
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
  remembered as (
    insert into django_pgflow.failed_attempts (
      run_id, step_slug, task_index, attempt, worker_id, started_at, failed_at, error_class, error_message, traceback
    )
    select
      report.run_id, report.step_slug, report.task_index, report.attempts_count, report.last_worker_id,
      report.started_at, greatest(now(), report.started_at), report.error_class, report.error_message,
      report.traceback
    from reports report
    where report.verdict in ('retry', 'failed', 'violation')
    on conflict do nothing
  ),
  reported as (
    update pgflow.step_tasks t
    set
      status = case report.verdict
        when 'completed' then 'completed'
        when 'retry' then 'queued'
        when 'released' then 'queued'
        when 'skipped' then 'skipped'
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
      case when report.verdict in ('retry', 'released') then report.delay end as delay
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
    perform django_pgflow.notify_queued(due.flow_slug)
    from (
      select distinct m.flow_slug from unnest(v_flow_slugs, v_delays) as m (flow_slug, delay) where m.delay = 0
    ) as due;

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
