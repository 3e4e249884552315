-- Moves steps and runs on after tasks were reported. Arrays in parallel, a place a task; verdicts as _report_tasks
-- gives them. Completions come before failures.
-- Called by _report_tasks, which has locked runs and step states.
create function pgflow._move_steps(
  run_ids uuid[],
  step_slugs text[],
  verdicts text[],
  error_messages text[]
)
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_ended_run_ids uuid[];
  v_ended_step_slugs text[];
  v_failed_run_ids uuid[];
  v_failed_step_slugs text[];
  v_failed_modes text[];
  v_skip_reasons text[];
  v_failed_errors text[];
  v_going_run_ids uuid[] := '{}';
begin
  -- 1. Count completed tasks; a step without remaining ones is completed, with its output.
  with counted as (
    select task.run_id, task.step_slug, count(*)::integer as completed_count, max(task.position) as position
    from unnest(_move_steps.run_ids, _move_steps.step_slugs, _move_steps.verdicts)
      with ordinality as task (run_id, step_slug, verdict, position)
    where task.verdict = 'completed'
    group by task.run_id, task.step_slug
  ),
  moved as (
    update pgflow.step_states s
    set
      remaining_tasks = s.remaining_tasks - counted.completed_count,
      status = case when s.remaining_tasks = counted.completed_count then 'completed' else s.status end,
      completed_at = case when s.remaining_tasks = counted.completed_count then greatest(now(), s.started_at) end,
      output = case
        when s.remaining_tasks <> counted.completed_count then null
        when d.step_type = 'map' then (
          select jsonb_agg(coalesce(t.output, 'null') order by t.task_index)
          from pgflow.step_tasks t
          where t.run_id = s.run_id and t.step_slug = s.step_slug and t.status = 'completed'
        )
        else (
          select t.output
          from pgflow.step_tasks t
          where t.run_id = s.run_id and t.step_slug = s.step_slug and t.task_index = 0
        )
      end
    from counted, pgflow.steps d
    where s.run_id = counted.run_id
      and s.step_slug = counted.step_slug
      and d.flow_slug = s.flow_slug
      and d.step_slug = s.step_slug
    returning counted.position, s.run_id, s.step_slug, s.status
  )
  select array_agg(m.run_id order by m.position), array_agg(m.step_slug order by m.position)
  into v_ended_run_ids, v_ended_step_slugs
  from moved m
  where m.status = 'completed';

  if v_ended_run_ids is not null then
    perform pgflow._emit_steps(v_ended_run_ids, v_ended_step_slugs);
    perform pgflow._release_dependents(v_ended_run_ids, v_ended_step_slugs);
    -- In the order of the reports, so that the work that they release is queued in that order.
    select pgflow._complete_runs(
      array_agg(ended.run_id order by ended.position), array_agg(ended.steps_count order by ended.position)
    )
    into v_going_run_ids
    from (
      select e.run_id, count(*)::integer as steps_count, min(e.position) as position
      from unnest(v_ended_run_ids) with ordinality as e (run_id, position)
      group by e.run_id
    ) as ended;
  end if;

  -- 2. Fail or skip the steps of tasks that failed or asked for it; the first of a step decides.
  if _move_steps.verdicts && array['failed', 'violation', 'skipped'] then
    select
      array_agg(f.run_id), array_agg(f.step_slug), array_agg(f.mode), array_agg(f.skip_reason),
      array_agg(f.error_message)
    into v_failed_run_ids, v_failed_step_slugs, v_failed_modes, v_skip_reasons, v_failed_errors
    from (
      select distinct on (task.run_id, task.step_slug)
        task.run_id,
        task.step_slug,
        case
          when task.verdict = 'violation' then 'fail'
          when task.verdict = 'skipped' and d.when_exhausted = 'fail' then 'skip'
          else d.when_exhausted
        end as mode,
        case when task.verdict = 'skipped' then 'handler_skipped' else 'handler_failed' end as skip_reason,
        task.error_message
      from unnest(
        _move_steps.run_ids, _move_steps.step_slugs, _move_steps.verdicts, _move_steps.error_messages
      ) with ordinality as task (run_id, step_slug, verdict, error_message, position)
      join pgflow.runs r on r.run_id = task.run_id
      join pgflow.steps d on d.flow_slug = r.flow_slug and d.step_slug = task.step_slug
      where task.verdict in ('failed', 'violation', 'skipped')
      order by task.run_id, task.step_slug, task.position
    ) as f;

    perform pgflow._end_failed_steps(
      v_failed_run_ids, v_failed_step_slugs, v_failed_modes, v_skip_reasons, v_failed_errors
    );
    v_going_run_ids := v_going_run_ids || array(
      select distinct f.run_id from unnest(v_failed_run_ids) as f (run_id) where f.run_id <> all (v_going_run_ids)
    );
  end if;

  -- 3. Follow up only where a step ended and its run goes on.
  if v_going_run_ids <> '{}' then
    perform pgflow._advance(v_going_run_ids);
  end if;
end;
$$;
