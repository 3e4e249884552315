-- Turns what core_0_14.sql made into a core as pgflow 0.7.2 installs it: without what came later, and with the
-- behaviour of then.

drop function pgflow.create_flow(text, integer, integer, integer);
drop function pgflow.add_step(
  text, text, text[], integer, integer, integer, integer, text, jsonb, jsonb, text, text
);
drop function pgflow.delete_flow_and_data(text);
drop function pgflow.ensure_flow_compiled(text, jsonb, boolean);
drop function pgflow.is_local();
drop function pgflow.ensure_workers();
drop function pgflow.mark_worker_stopped(uuid);
drop function pgflow.track_worker_function(text);
drop function pgflow.set_vt_batch(text, bigint[], integer[]);
drop function pgflow.cascade_resolve_conditions(uuid);
drop function pgflow.requeue_stalled_tasks();
drop function pgflow.start_tasks(text, bigint[], uuid);
drop table pgflow.worker_functions;
alter table pgflow.steps
  drop column required_input_pattern, drop column forbidden_input_pattern, drop column when_unmet,
  drop column when_exhausted;
alter table pgflow.step_states drop column output, drop column skip_reason, drop column skipped_at;
alter table pgflow.step_states
  add constraint status_is_valid check (status in ('created', 'started', 'completed', 'failed'));
alter table pgflow.step_tasks
  drop column requeued_count, drop column last_requeued_at, drop column permanently_stalled_at;
alter table pgflow.workers drop column stopped_at;
alter type pgflow.step_task_record drop attribute flow_input;

-- The defaults are those of the parameters; NULL is refused by the table.
create function pgflow.create_flow(
  flow_slug text, max_attempts integer default 3, base_delay integer default 5, timeout integer default 60
)
returns pgflow.flows language plpgsql set search_path to '' as $$
declare
  v_flow pgflow.flows;
begin
  insert into pgflow.flows (flow_slug, opt_max_attempts, opt_base_delay, opt_timeout)
  values (create_flow.flow_slug, create_flow.max_attempts, create_flow.base_delay, create_flow.timeout)
  on conflict do nothing;
  if not exists (select from pgmq.list_queues() q where q.queue_name = create_flow.flow_slug) then
    perform pgmq.create(create_flow.flow_slug);
  end if;
  select * into v_flow from pgflow.flows f where f.flow_slug = create_flow.flow_slug;
  return v_flow;
end;
$$;

create function pgflow.add_step(
  flow_slug text, step_slug text, deps_slugs text[] default '{}', max_attempts integer default null,
  base_delay integer default null, timeout integer default null, start_delay integer default null,
  step_type text default 'single'
)
returns pgflow.steps language plpgsql set search_path to '' as $$
declare
  v_step pgflow.steps;
begin
  insert into pgflow.steps (
    flow_slug, step_slug, step_type, step_index, deps_count, opt_max_attempts, opt_base_delay, opt_timeout,
    opt_start_delay
  )
  select add_step.flow_slug, add_step.step_slug, add_step.step_type,
    coalesce((select max(s.step_index) + 1 from pgflow.steps s where s.flow_slug = add_step.flow_slug), 0),
    cardinality(add_step.deps_slugs), add_step.max_attempts, add_step.base_delay, add_step.timeout,
    add_step.start_delay
  on conflict do nothing;
  insert into pgflow.deps (flow_slug, dep_slug, step_slug)
  select add_step.flow_slug, dep, add_step.step_slug from unnest(add_step.deps_slugs) as dep
  on conflict do nothing;
  select * into v_step from pgflow.steps s
  where s.flow_slug = add_step.flow_slug and s.step_slug = add_step.step_slug;
  return v_step;
end;
$$;

create function pgflow.read_with_poll(
  queue_name text, vt integer, qty integer, max_poll_seconds integer default 5, poll_interval_ms integer default 100,
  conditional jsonb default '{}'
)
returns setof pgmq.message_record language sql as $$
  select * from pgmq.read_with_poll(queue_name, vt, qty, max_poll_seconds, poll_interval_ms, conditional)
$$;

create function pgflow.set_vt_batch(queue_name text, msg_ids bigint[], vt_offsets integer[])
returns setof pgmq.message_record language plpgsql as $$
begin
  raise exception 'structure of query does not match function result type';
end;
$$;

create function pgflow.poll_for_tasks(
  queue_name text, vt integer, qty integer, max_poll_seconds integer default 5, poll_interval_ms integer default 100
)
returns setof pgflow.step_task_record language plpgsql as $$
begin
  raise notice 'DEPRECATED: poll_for_tasks is deprecated and will be removed.';
end;
$$;

-- Not in the contract: a step's output, which this version has in its tasks only.
create function pgflow.step_output(run_id uuid, step_slug text) returns jsonb language sql as $$
  select case
      when min(d.step_type) = 'map' then coalesce(
        jsonb_agg(coalesce(t.output, 'null') order by t.task_index) filter (where t.run_id is not null), '[]'
      )
      else (array_agg(t.output))[1]
    end
  from pgflow.step_states s
  join pgflow.steps d on d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
  left join pgflow.step_tasks t on t.run_id = s.run_id and t.step_slug = s.step_slug and t.status = 'completed'
  where s.run_id = step_output.run_id and s.step_slug = step_output.step_slug
$$;

-- The input of a single step has the key "run", for the root steps as well.
create function pgflow.start_tasks(flow_slug text, msg_ids bigint[], worker_id uuid)
returns setof pgflow.step_task_record language sql set search_path to '' as $$
  with candidates as (
    select t.run_id, t.step_slug, t.task_index, t.message_id, t.flow_slug, r.input as run_input, d.step_type,
      d.deps_count
    from pgflow.step_tasks t
    join pgflow.runs r on r.run_id = t.run_id and r.status <> 'failed'
    join pgflow.steps d on d.flow_slug = t.flow_slug and d.step_slug = t.step_slug
    where t.flow_slug = start_tasks.flow_slug and t.message_id = any (start_tasks.msg_ids) and t.status = 'queued'
  ),
  started as (
    update pgflow.step_tasks t
    set status = 'started', attempts_count = t.attempts_count + 1, started_at = now(),
      last_worker_id = start_tasks.worker_id
    from candidates c
    where t.run_id = c.run_id and t.step_slug = c.step_slug and t.task_index = c.task_index and t.status = 'queued'
  ),
  outputs as (
    select c.run_id, c.step_slug, c.task_index, d.dep_slug, pgflow.step_output(c.run_id, d.dep_slug) as output
    from candidates c
    join pgflow.deps d on d.flow_slug = c.flow_slug and d.step_slug = c.step_slug
  )
  select c.flow_slug, c.run_id, c.step_slug,
    case
      when c.step_type = 'map' and c.deps_count = 0 then c.run_input -> c.task_index
      when c.step_type = 'map' then (
        select o.output -> c.task_index from outputs o
        where o.run_id = c.run_id and o.step_slug = c.step_slug and o.task_index = c.task_index
      )
      else jsonb_build_object('run', c.run_input) || coalesce(
        (
          select jsonb_object_agg(o.dep_slug, o.output) from outputs o
          where o.run_id = c.run_id and o.step_slug = c.step_slug and o.task_index = c.task_index
        ),
        '{}'
      )
    end,
    c.message_id, c.task_index
  from candidates c
$$;

create or replace function pgflow.maybe_complete_run(run_id uuid) returns void language sql set search_path to '' as $$
  update pgflow.runs r
  set status = 'completed', completed_at = now(), output = (
    select jsonb_object_agg(s.step_slug, pgflow.step_output(s.run_id, s.step_slug))
    from pgflow.step_states s
    where s.run_id = r.run_id and s.status = 'completed'
      and not exists (select from pgflow.deps d where d.flow_slug = s.flow_slug and d.dep_slug = s.step_slug)
  )
  where r.run_id = maybe_complete_run.run_id and r.remaining_steps = 0 and r.status <> 'completed'
$$;

create or replace function pgflow.cascade_complete_taskless_steps(run_id uuid) returns integer language plpgsql as $$
#variable_conflict use_column
declare
  v_slug text;
  v_count integer := 0;
begin
  loop
    update pgflow.step_states s
    set status = 'completed', started_at = now(), completed_at = now(), remaining_tasks = 0
    where s.run_id = cascade_complete_taskless_steps.run_id and s.status = 'created' and s.remaining_deps = 0
      and s.initial_tasks = 0
      and s.step_slug = (
        select min(o.step_slug) from pgflow.step_states o
        where o.run_id = s.run_id and o.status = 'created' and o.remaining_deps = 0 and o.initial_tasks = 0
      )
    returning s.step_slug into v_slug;
    exit when not found;
    v_count := v_count + 1;
    perform pgflow.step_ended(cascade_complete_taskless_steps.run_id, v_slug, 0);
  end loop;
  return v_count;
end;
$$;

-- Returns no row when a task fails for the type of its output.
create or replace function pgflow.complete_task(run_id uuid, step_slug text, task_index integer, output jsonb)
returns setof pgflow.step_tasks language plpgsql set search_path to '' as $$
#variable_conflict use_column
declare
  v_step pgflow.step_states;
  v_type text;
  v_task pgflow.step_tasks;
  v_child text;
  v_elements integer;
begin
  select * into v_task from pgflow.step_tasks t
  where t.run_id = complete_task.run_id and t.step_slug = complete_task.step_slug
    and t.task_index = complete_task.task_index;
  if exists (select from pgflow.runs r where r.run_id = complete_task.run_id and r.status = 'failed') then
    return next v_task;
    return;
  end if;
  perform from pgflow.runs r where r.run_id = complete_task.run_id for update;
  select * into v_step from pgflow.step_states s
  where s.run_id = complete_task.run_id and s.step_slug = complete_task.step_slug for update;
  select d.step_type into v_type from pgflow.steps d
  where d.flow_slug = v_step.flow_slug and d.step_slug = v_step.step_slug;
  select e.step_slug into v_child
  from pgflow.deps e
  join pgflow.steps c on c.flow_slug = e.flow_slug and c.step_slug = e.step_slug and c.step_type = 'map'
  where e.flow_slug = v_step.flow_slug and e.dep_slug = v_step.step_slug;
  if v_type = 'single' and v_child is not null and jsonb_typeof(complete_task.output) is distinct from 'array' then
    update pgflow.runs r set status = 'failed', failed_at = now() where r.run_id = complete_task.run_id;
    update pgflow.step_tasks t
    set status = 'failed', failed_at = now(), output = complete_task.output,
      error_message = '[TYPE_VIOLATION] Produced ' || coalesce(jsonb_typeof(complete_task.output), 'null')
        || ' instead of array'
    where t.run_id = v_task.run_id and t.step_slug = v_task.step_slug and t.task_index = v_task.task_index;
    update pgflow.step_states s
    set status = 'failed', failed_at = now(), error_message = '[TYPE_VIOLATION] Map step ' || v_child
      || ' expects array input'
    where s.run_id = v_task.run_id and s.step_slug = v_task.step_slug;
    perform pgmq.archive(v_task.flow_slug, v_task.message_id);
    return;
  end if;
  update pgflow.step_tasks t set status = 'completed', completed_at = now(), output = complete_task.output
  where t.run_id = v_task.run_id and t.step_slug = v_task.step_slug and t.task_index = v_task.task_index
    and t.status = 'started';
  if found then
    select case when v_type = 'map' then count(*) else jsonb_array_length(
        case when jsonb_typeof(complete_task.output) = 'array' then complete_task.output end
      ) end
    into v_elements
    from pgflow.step_tasks t
    where t.run_id = v_task.run_id and t.step_slug = v_task.step_slug and t.status = 'completed';
    update pgflow.step_states s
    set remaining_tasks = s.remaining_tasks - 1,
      status = case when s.remaining_tasks = 1 then 'completed' else s.status end,
      completed_at = case when s.remaining_tasks = 1 then now() end
    where s.run_id = v_task.run_id and s.step_slug = v_task.step_slug;
    if v_step.remaining_tasks = 1 then
      perform pgflow.step_ended(v_task.run_id, v_task.step_slug, v_elements);
      perform pgflow.cascade_complete_taskless_steps(v_task.run_id);
    end if;
    perform pgmq.archive(v_task.flow_slug, v_task.message_id);
  end if;
  perform pgflow.start_ready_steps(v_task.run_id);
  perform pgflow.maybe_complete_run(v_task.run_id);
  return query select * from pgflow.step_tasks t
    where t.run_id = v_task.run_id and t.step_slug = v_task.step_slug and t.task_index = v_task.task_index;
end;
$$;
