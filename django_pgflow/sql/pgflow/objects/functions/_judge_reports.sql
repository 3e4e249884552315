-- Says what each report that counts means for its task: the verdict is completed, violation (a single step whose map
-- child waits for an array gave none), retry, failed, released or skipped. Reports that do not count are left out, and
-- of a task that is reported twice only the first is taken. delay is set for retry and released.
-- Called by _report_tasks with its own arguments, after it has locked runs and step states. Locks nothing.
create function pgflow._judge_reports(
  run_ids uuid[],
  step_slugs text[],
  task_indexes integer[],
  outcomes text[],
  outputs jsonb[],
  error_messages text[],
  attempts integer[],
  worker_id uuid,
  delays integer[]
)
returns table (
  place integer,
  run_id uuid,
  step_slug text,
  task_index integer,
  verdict text,
  error_message text,
  step_error text,
  delay integer,
  flow_slug text,
  message_id bigint
)
language plpgsql
stable
set search_path to ''
as $$
#variable_conflict use_column
begin
  return query select distinct on (t.run_id, t.step_slug, t.task_index)
    given.position::integer,
    t.run_id,
    t.step_slug,
    t.task_index,
    case
      when given.outcome = 'completed' and violation.output_type is not null then 'violation'
      when given.outcome in ('completed', 'released', 'skipped') then given.outcome
      when given.outcome = 'failed' and attempts.left_count > 0 then 'retry'
      else 'failed'
    end,
    case
      when given.outcome = 'completed' then '[TYPE_VIOLATION] Produced ' || violation.output_type || ' instead of array'
      when given.outcome <> 'released' then given.error_message
    end,
    case
      when given.outcome = 'completed'
        then '[TYPE_VIOLATION] Map step ' || violation.child_slug || ' expects array input but dependency '
          || t.step_slug || ' produced ' || violation.output_type
      else given.error_message
    end,
    case
      when given.outcome = 'released' then coalesce(given.delay, 0)
      when given.outcome = 'failed' and attempts.left_count > 0
        then coalesce(given.delay, pgflow._retry_delay(attempts.base_delay, attempts.charged_count))
    end,
    t.flow_slug,
    t.message_id
  from unnest(
    _judge_reports.run_ids, _judge_reports.step_slugs, _judge_reports.task_indexes, _judge_reports.outcomes,
    _judge_reports.outputs, _judge_reports.error_messages, _judge_reports.attempts, _judge_reports.delays
  ) with ordinality as given (
    run_id, step_slug, task_index, outcome, output, error_message, attempt, delay, position
  )
  join pgflow.step_tasks t
    on t.run_id = given.run_id and t.step_slug = given.step_slug and t.task_index = given.task_index
  join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
  join pgflow.runs r on r.run_id = t.run_id
  join pgflow.steps d on d.flow_slug = t.flow_slug and d.step_slug = t.step_slug
  join pgflow.flows f on f.flow_slug = t.flow_slug
  cross join lateral (
    select
      coalesce(d.opt_base_delay, f.opt_base_delay) as base_delay,
      t.attempts_count - t.forgiven_count as charged_count,
      coalesce(d.opt_max_attempts, f.opt_max_attempts) - (t.attempts_count - t.forgiven_count) as left_count
  ) as attempts
  left join lateral (
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
    and (_judge_reports.worker_id is null or t.last_worker_id = _judge_reports.worker_id)
    and (given.attempt is null or t.attempts_count = given.attempt)
  order by t.run_id, t.step_slug, t.task_index, given.position;
end;
$$;
