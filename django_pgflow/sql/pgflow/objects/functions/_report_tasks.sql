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
  v_task_indexes integer[];
  v_verdicts text[];
  v_errors text[];
  v_step_errors text[];
  v_delays integer[];
  v_flow_slugs text[];
  v_message_ids bigint[];
begin
  if not _report_tasks.outcomes <@ array['completed', 'failed', 'exhausted', 'released', 'skipped'] then
    raise exception 'Outcomes must be completed, failed, exhausted, released or skipped, not: %',
      array_to_string(_report_tasks.outcomes, ', ', 'NULL');
  end if;

  perform pgflow._lock_steps(_report_tasks.run_ids, _report_tasks.step_slugs);

  select
    array_agg(j.place), array_agg(j.run_id), array_agg(j.step_slug), array_agg(j.task_index), array_agg(j.verdict),
    array_agg(j.error_message), array_agg(j.step_error), array_agg(j.delay), array_agg(j.flow_slug),
    array_agg(j.message_id)
  into
    v_positions, v_run_ids, v_step_slugs, v_task_indexes, v_verdicts, v_errors, v_step_errors, v_delays, v_flow_slugs,
    v_message_ids
  from (
    select *
    from pgflow._judge_reports(
      _report_tasks.run_ids, _report_tasks.step_slugs, _report_tasks.task_indexes, _report_tasks.outcomes,
      _report_tasks.outputs, _report_tasks.error_messages, _report_tasks.attempts, _report_tasks.worker_id,
      _report_tasks.delays
    ) as judged
    order by judged.place
  ) as j;

  if v_positions is not null then
    if v_verdicts && array['retry', 'failed', 'violation'] then
      insert into django_pgflow.failed_attempts (
        run_id, step_slug, task_index, attempt, worker_id, started_at, failed_at, error_class, error_message, traceback
      )
      select
        t.run_id, t.step_slug, t.task_index, t.attempts_count, t.last_worker_id, t.started_at,
        greatest(now(), t.started_at), _report_tasks.error_classes[j.place], j.error_message,
        _report_tasks.tracebacks[j.place]
      from unnest(v_positions, v_run_ids, v_step_slugs, v_task_indexes, v_verdicts, v_errors)
        as j (place, run_id, step_slug, task_index, verdict, error_message)
      join pgflow.step_tasks t
        on t.run_id = j.run_id and t.step_slug = j.step_slug and t.task_index = j.task_index
      where j.verdict in ('retry', 'failed', 'violation')
      on conflict do nothing;
    end if;

    update pgflow.step_tasks t
    set
      status = case j.verdict
        when 'completed' then 'completed'
        when 'retry' then 'queued'
        when 'released' then 'queued'
        when 'skipped' then 'skipped'
        else 'failed'
      end,
      forgiven_count = t.forgiven_count + case when j.verdict = 'released' then 1 else 0 end,
      started_at = case when j.verdict in ('retry', 'released') then null else t.started_at end,
      last_worker_id = case when j.verdict = 'released' then null else t.last_worker_id end,
      completed_at = case when j.verdict = 'completed' then greatest(now(), t.started_at) end,
      failed_at = case when j.verdict in ('failed', 'violation') then greatest(now(), t.started_at) end,
      output = case when j.verdict in ('completed', 'violation') then _report_tasks.outputs[j.place] end,
      error_message = coalesce(j.error_message, t.error_message)
    from unnest(v_positions, v_run_ids, v_step_slugs, v_task_indexes, v_verdicts, v_errors)
      as j (place, run_id, step_slug, task_index, verdict, error_message)
    where t.run_id = j.run_id
      and t.step_slug = j.step_slug
      and t.task_index = j.task_index;

    perform pgflow._move_steps(v_run_ids, v_step_slugs, v_verdicts, v_step_errors);

    if v_verdicts && array['retry', 'released'] then
      perform pgflow._delay_messages(
        array_agg(m.flow_slug), array_agg(m.message_id), array_agg(m.delay)
      )
      from unnest(v_flow_slugs, v_message_ids, v_delays) as m (flow_slug, message_id, delay)
      where m.delay is not null;
      perform django_pgflow.notify_queued(due.flow_slug)
      from (
        select distinct m.flow_slug from unnest(v_flow_slugs, v_delays) as m (flow_slug, delay) where m.delay = 0
      ) as due;
      v_message_ids := array(
        select case when m.delay is null then m.message_id end
        from unnest(v_message_ids, v_delays) with ordinality as m (message_id, delay, position)
        order by m.position
      );
    end if;

    perform pgflow._archive_messages(v_flow_slugs, v_message_ids);
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
