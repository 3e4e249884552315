-- A core as pgflow 0.14.1 installs it, written from the contract: its tables, and functions with its documented
-- behaviour, defects included, as far as a worker meets them. Conditions, skipping and events are left out.

create schema pgflow;

create function pgflow.is_valid_slug(slug text) returns boolean language sql immutable set search_path to '' as $$
  select coalesce(slug ~ '^[a-zA-Z_][a-zA-Z0-9_]{0,127}$' and slug <> 'run', false)
$$;

create table pgflow.flows (
  flow_slug text primary key constraint slug_is_valid check (pgflow.is_valid_slug(flow_slug)),
  opt_max_attempts integer not null default 3 constraint opt_max_attempts_is_nonnegative check (opt_max_attempts >= 0),
  opt_base_delay integer not null default 1 constraint opt_base_delay_is_nonnegative check (opt_base_delay >= 0),
  opt_timeout integer not null default 60 constraint opt_timeout_is_positive check (opt_timeout > 0),
  created_at timestamptz not null default now()
);

create table pgflow.steps (
  flow_slug text not null references pgflow.flows,
  step_slug text not null check (pgflow.is_valid_slug(step_slug)),
  step_type text not null default 'single' check (step_type in ('single', 'map')),
  step_index integer not null default 0,
  deps_count integer not null default 0 check (deps_count >= 0),
  opt_max_attempts integer,
  opt_base_delay integer,
  opt_timeout integer,
  created_at timestamptz not null default now(),
  opt_start_delay integer,
  required_input_pattern jsonb,
  forbidden_input_pattern jsonb,
  when_unmet text not null default 'skip',
  when_exhausted text not null default 'fail',
  primary key (flow_slug, step_slug),
  unique (flow_slug, step_index)
);

create table pgflow.deps (
  flow_slug text not null references pgflow.flows,
  dep_slug text not null,
  step_slug text not null,
  created_at timestamptz not null default now(),
  primary key (flow_slug, dep_slug, step_slug),
  foreign key (flow_slug, dep_slug) references pgflow.steps,
  foreign key (flow_slug, step_slug) references pgflow.steps,
  check (dep_slug <> step_slug)
);

create table pgflow.runs (
  run_id uuid primary key default gen_random_uuid(),
  flow_slug text not null references pgflow.flows,
  status text not null default 'started' constraint status_is_valid check (status in ('started', 'completed', 'failed')),
  input jsonb not null,
  output jsonb,
  remaining_steps integer not null default 0 check (remaining_steps >= 0),
  started_at timestamptz not null default now(),
  completed_at timestamptz,
  failed_at timestamptz
);

create table pgflow.step_states (
  flow_slug text not null references pgflow.flows,
  run_id uuid not null references pgflow.runs,
  step_slug text not null,
  status text not null default 'created',
  remaining_tasks integer,
  remaining_deps integer not null default 0 check (remaining_deps >= 0),
  error_message text,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  completed_at timestamptz,
  failed_at timestamptz,
  initial_tasks integer check (initial_tasks is null or initial_tasks >= 0),
  output jsonb,
  skip_reason text,
  skipped_at timestamptz,
  primary key (run_id, step_slug),
  foreign key (flow_slug, step_slug) references pgflow.steps
);

create table pgflow.workers (
  worker_id uuid primary key,
  queue_name text not null,
  function_name text not null,
  started_at timestamptz not null default now(),
  deprecated_at timestamptz,
  last_heartbeat_at timestamptz not null default now(),
  stopped_at timestamptz
);

create table pgflow.step_tasks (
  flow_slug text not null references pgflow.flows,
  run_id uuid not null references pgflow.runs,
  step_slug text not null,
  message_id bigint,
  task_index integer not null default 0,
  status text not null default 'queued'
    constraint valid_status check (status in ('queued', 'started', 'completed', 'failed')),
  attempts_count integer not null default 0,
  error_message text,
  output jsonb,
  queued_at timestamptz not null default now(),
  completed_at timestamptz,
  failed_at timestamptz,
  started_at timestamptz constraint started_at_is_after_queued_at check (started_at is null or started_at >= queued_at),
  last_worker_id uuid references pgflow.workers on delete set null,
  requeued_count integer not null default 0,
  last_requeued_at timestamptz,
  permanently_stalled_at timestamptz,
  primary key (run_id, step_slug, task_index),
  foreign key (run_id, step_slug) references pgflow.step_states,
  constraint completed_at_or_failed_at check (completed_at is null or failed_at is null),
  constraint completed_at_is_after_started_at check (completed_at is null or completed_at >= started_at)
);
create index idx_step_tasks_message_id on pgflow.step_tasks (message_id);

create table pgflow.worker_functions (
  function_name text primary key,
  enabled boolean not null default true,
  debounce interval not null default '6 seconds',
  last_invoked_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create type pgflow.step_task_record as (
  flow_slug text, run_id uuid, step_slug text, input jsonb, msg_id bigint, task_index integer, flow_input jsonb
);

-- Definitions

create function pgflow.create_flow(
  flow_slug text, max_attempts integer default null, base_delay integer default null, timeout integer default null
)
returns pgflow.flows language plpgsql set search_path to '' as $$
declare
  v_flow pgflow.flows;
begin
  insert into pgflow.flows (flow_slug, opt_max_attempts, opt_base_delay, opt_timeout)
  values (
    create_flow.flow_slug, coalesce(create_flow.max_attempts, 3), coalesce(create_flow.base_delay, 5),
    coalesce(create_flow.timeout, 60)
  )
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
  step_type text default 'single', required_input_pattern jsonb default null,
  forbidden_input_pattern jsonb default null, when_unmet text default 'skip', when_exhausted text default 'fail'
)
returns pgflow.steps language plpgsql set search_path to '' as $$
declare
  v_step pgflow.steps;
begin
  insert into pgflow.steps (
    flow_slug, step_slug, step_type, step_index, deps_count, opt_max_attempts, opt_base_delay, opt_timeout,
    opt_start_delay, required_input_pattern, forbidden_input_pattern, when_unmet, when_exhausted
  )
  select add_step.flow_slug, add_step.step_slug, coalesce(add_step.step_type, 'single'),
    coalesce((select max(s.step_index) + 1 from pgflow.steps s where s.flow_slug = add_step.flow_slug), 0),
    coalesce(cardinality(add_step.deps_slugs), 0), add_step.max_attempts, add_step.base_delay, add_step.timeout,
    add_step.start_delay, add_step.required_input_pattern, add_step.forbidden_input_pattern, add_step.when_unmet,
    add_step.when_exhausted
  on conflict do nothing;
  insert into pgflow.deps (flow_slug, dep_slug, step_slug)
  select add_step.flow_slug, dep, add_step.step_slug from unnest(add_step.deps_slugs) as dep
  on conflict do nothing;
  select * into v_step from pgflow.steps s
  where s.flow_slug = add_step.flow_slug and s.step_slug = add_step.step_slug;
  return v_step;
end;
$$;

create function pgflow.delete_flow_and_data(p_flow_slug text) returns void language plpgsql set search_path to '' as $$
begin
  perform pgmq.drop_queue(p_flow_slug);
  delete from pgflow.step_tasks where flow_slug = p_flow_slug;
  delete from pgflow.step_states where flow_slug = p_flow_slug;
  delete from pgflow.runs where flow_slug = p_flow_slug;
  delete from pgflow.deps where flow_slug = p_flow_slug;
  delete from pgflow.steps where flow_slug = p_flow_slug;
  delete from pgflow.flows where flow_slug = p_flow_slug;
end;
$$;

-- Named, and never called by us: it deletes history where is_local() holds.
create function pgflow.ensure_flow_compiled(flow_slug text, shape jsonb, allow_data_loss boolean default false)
returns jsonb language plpgsql set search_path to '' as $$
begin
  raise exception 'ensure_flow_compiled was called';
end;
$$;

create function pgflow.is_local() returns boolean language sql stable set search_path to '' as $$
  select coalesce(current_setting('app.settings.jwt_secret', true), '')
    = 'super-secret-jwt-token-with-at-least-32-characters-long'
$$;

create function pgflow.ensure_workers() returns table (function_name text, invoked boolean, request_id bigint)
language sql as $$
  -- Reads pgflow_auth_secret from the vault.
  select null::text, false, null::bigint where false
$$;

create function pgflow.mark_worker_stopped(worker_id uuid) returns void language sql as $$
  update pgflow.workers w set stopped_at = clock_timestamp() where w.worker_id = mark_worker_stopped.worker_id
$$;

create function pgflow.track_worker_function(function_name text) returns void language sql as $$
  insert into pgflow.worker_functions (function_name) values (track_worker_function.function_name)
  on conflict (function_name) do update set updated_at = clock_timestamp()
$$;

create function pgflow.set_vt_batch(queue_name text, msg_ids bigint[], vt_offsets integer[])
returns table (
  msg_id bigint, read_ct integer, enqueued_at timestamptz, vt timestamptz, message jsonb, headers jsonb
)
language plpgsql as $$
begin
  return query
    select m.msg_id, m.read_ct, m.enqueued_at, m.vt, m.message, m.headers
    from unnest(set_vt_batch.msg_ids, set_vt_batch.vt_offsets) as given (msg_id, seconds)
    cross join lateral pgmq.set_vt(set_vt_batch.queue_name, given.msg_id, given.seconds) as m;
end;
$$;

-- Runs

create function pgflow.calculate_retry_delay(base_delay numeric, attempts_count integer) returns integer
language sql immutable as $$
  select floor(base_delay * power(2, attempts_count))::integer
$$;

create function pgflow.cascade_resolve_conditions(run_id uuid) returns boolean language sql as $$
  select r.status <> 'failed' from pgflow.runs r where r.run_id = cascade_resolve_conditions.run_id
$$;

create function pgflow.cascade_complete_taskless_steps(run_id uuid) returns integer language plpgsql as $$
#variable_conflict use_column
declare
  v_slug text;
  v_count integer := 0;
begin
  loop
    update pgflow.step_states s
    set status = 'completed', started_at = now(), completed_at = now(), remaining_tasks = 0, output = '[]'
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

-- Not in the contract: what follows the completion of a step.
create function pgflow.step_ended(run_id uuid, step_slug text, elements integer) returns void language plpgsql as $$
#variable_conflict use_column
begin
  update pgflow.step_states s
  set remaining_deps = s.remaining_deps - 1,
    initial_tasks = case
      when s.initial_tasks is null and d.step_type = 'map' then step_ended.elements else s.initial_tasks
    end
  from pgflow.deps e
  join pgflow.steps d on d.flow_slug = e.flow_slug and d.step_slug = e.step_slug
  where s.run_id = step_ended.run_id and s.flow_slug = e.flow_slug and s.step_slug = e.step_slug
    and e.dep_slug = step_ended.step_slug;
  update pgflow.runs r set remaining_steps = r.remaining_steps - 1 where r.run_id = step_ended.run_id;
end;
$$;

create function pgflow.start_ready_steps(run_id uuid) returns void language plpgsql set search_path to '' as $$
declare
  v_step record;
begin
  for v_step in
    update pgflow.step_states s
    set status = 'started', started_at = now(), remaining_tasks = s.initial_tasks
    from pgflow.runs r, pgflow.steps d
    where s.run_id = start_ready_steps.run_id and r.run_id = s.run_id and r.status = 'started'
      and s.status = 'created' and s.remaining_deps = 0 and s.initial_tasks > 0
      and d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
    returning s.flow_slug, s.step_slug, s.initial_tasks, coalesce(d.opt_start_delay, 0) as delay
  loop
    with messages as (
      select array_agg(
        jsonb_build_object(
          'flow_slug', v_step.flow_slug, 'run_id', start_ready_steps.run_id, 'step_slug', v_step.step_slug,
          'task_index', i
        )
        order by i
      ) as bodies
      from generate_series(0, v_step.initial_tasks - 1) as i
    )
    insert into pgflow.step_tasks (flow_slug, run_id, step_slug, task_index, message_id)
    select v_step.flow_slug, start_ready_steps.run_id, v_step.step_slug, sent.position - 1, sent.msg_id
    from messages
    cross join lateral pgmq.send_batch(v_step.flow_slug, messages.bodies, v_step.delay::integer)
      with ordinality as sent (msg_id, position);
  end loop;
end;
$$;

create function pgflow.maybe_complete_run(run_id uuid) returns void language sql set search_path to '' as $$
  update pgflow.runs r
  set status = 'completed', completed_at = now(), output = (
    select jsonb_object_agg(s.step_slug, s.output)
    from pgflow.step_states s
    where s.run_id = r.run_id and s.status = 'completed'
      and not exists (select from pgflow.deps d where d.flow_slug = s.flow_slug and d.dep_slug = s.step_slug)
  )
  where r.run_id = maybe_complete_run.run_id and r.remaining_steps = 0 and r.status <> 'completed'
$$;

create function pgflow.start_flow(flow_slug text, input jsonb, run_id uuid default null)
returns setof pgflow.runs language plpgsql set search_path to '' as $$
#variable_conflict use_column
declare
  v_run_id uuid;
  v_elements integer := jsonb_array_length(
    case when jsonb_typeof(start_flow.input) = 'array' then start_flow.input end
  );
begin
  if jsonb_typeof(start_flow.input) is distinct from 'array' and exists (
    select from pgflow.steps s
    where s.flow_slug = start_flow.flow_slug and s.step_type = 'map' and s.deps_count = 0
  ) then
    raise exception 'Flow % has root map steps but input is not an array (got %)',
      start_flow.flow_slug, jsonb_typeof(start_flow.input);
  end if;
  insert into pgflow.runs (run_id, flow_slug, input, remaining_steps)
  select coalesce(start_flow.run_id, gen_random_uuid()), start_flow.flow_slug, start_flow.input,
    (select count(*) from pgflow.steps s where s.flow_slug = start_flow.flow_slug)
  returning runs.run_id into v_run_id;
  insert into pgflow.step_states (flow_slug, run_id, step_slug, remaining_deps, initial_tasks)
  select s.flow_slug, v_run_id, s.step_slug, s.deps_count, case
      when s.step_type = 'single' then 1
      when s.deps_count = 0 then v_elements
    end
  from pgflow.steps s
  where s.flow_slug = start_flow.flow_slug;
  perform pgflow.cascade_complete_taskless_steps(v_run_id);
  perform pgflow.start_ready_steps(v_run_id);
  perform pgflow.maybe_complete_run(v_run_id);
  return query select * from pgflow.runs r where r.run_id = v_run_id;
end;
$$;

-- Hands one task out twice to two callers at a time, and leaves the visibility of messages as it is: both are
-- documented of this version.
create function pgflow.start_tasks(flow_slug text, msg_ids bigint[], worker_id uuid)
returns setof pgflow.step_task_record language sql set search_path to '' as $$
  with candidates as (
    select t.run_id, t.step_slug, t.task_index, t.message_id, t.flow_slug, r.input as run_input, d.step_type,
      d.deps_count
    from pgflow.step_tasks t
    join pgflow.runs r on r.run_id = t.run_id and r.status = 'started'
    join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug and s.status = 'started'
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
    select c.run_id, c.step_slug, c.task_index, d.dep_slug, p.output
    from candidates c
    join pgflow.deps d on d.flow_slug = c.flow_slug and d.step_slug = c.step_slug
    join pgflow.step_states p on p.run_id = c.run_id and p.step_slug = d.dep_slug and p.status = 'completed'
  )
  select c.flow_slug, c.run_id, c.step_slug,
    case
      when c.step_type = 'map' and c.deps_count = 0 then c.run_input -> c.task_index
      when c.step_type = 'map' then (
        select o.output -> c.task_index from outputs o
        where o.run_id = c.run_id and o.step_slug = c.step_slug and o.task_index = c.task_index
      )
      else coalesce(
        (
          select jsonb_object_agg(o.dep_slug, o.output) from outputs o
          where o.run_id = c.run_id and o.step_slug = c.step_slug and o.task_index = c.task_index
        ),
        '{}'
      )
    end,
    c.message_id, c.task_index,
    case when c.step_type = 'single' and c.deps_count = 0 then c.run_input end
  from candidates c
$$;

-- Knows neither worker nor attempt, as documented.
create function pgflow.complete_task(run_id uuid, step_slug text, task_index integer, output jsonb)
returns setof pgflow.step_tasks language plpgsql set search_path to '' as $$
#variable_conflict use_column
declare
  v_run pgflow.runs;
  v_step pgflow.step_states;
  v_type text;
  v_task pgflow.step_tasks;
  v_output jsonb;
  v_elements integer;
  v_child text;
begin
  select * into v_task from pgflow.step_tasks t
  where t.run_id = complete_task.run_id and t.step_slug = complete_task.step_slug
    and t.task_index = complete_task.task_index;
  select * into v_run from pgflow.runs r where r.run_id = complete_task.run_id;
  if v_run.status = 'failed' then
    return next v_task;
    return;
  end if;
  perform from pgflow.runs r where r.run_id = complete_task.run_id for update;
  select * into v_step from pgflow.step_states s
  where s.run_id = complete_task.run_id and s.step_slug = complete_task.step_slug for update;
  if v_step.status <> 'started' then
    perform pgmq.archive(v_task.flow_slug, v_task.message_id);
    return next v_task;
    return;
  end if;
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
    return query select * from pgflow.step_tasks t
      where t.run_id = v_task.run_id and t.step_slug = v_task.step_slug and t.task_index = v_task.task_index;
    return;
  end if;
  update pgflow.step_tasks t set status = 'completed', completed_at = now(), output = complete_task.output
  where t.run_id = v_task.run_id and t.step_slug = v_task.step_slug and t.task_index = v_task.task_index
    and t.status = 'started';
  if found then
    if v_type = 'map' then
      select jsonb_agg(coalesce(t.output, 'null') order by t.task_index), count(*) into v_output, v_elements
      from pgflow.step_tasks t
      where t.run_id = v_task.run_id and t.step_slug = v_task.step_slug and t.status = 'completed';
    else
      v_output := complete_task.output;
      v_elements := case when jsonb_typeof(v_output) = 'array' then jsonb_array_length(v_output) end;
    end if;
    update pgflow.step_states s
    set remaining_tasks = s.remaining_tasks - 1,
      status = case when s.remaining_tasks = 1 then 'completed' else s.status end,
      completed_at = case when s.remaining_tasks = 1 then now() end,
      output = case when s.remaining_tasks = 1 then v_output end
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

-- Knows neither worker nor attempt, as documented.
create function pgflow.fail_task(run_id uuid, step_slug text, task_index integer, error_message text)
returns setof pgflow.step_tasks language plpgsql set search_path to '' as $$
#variable_conflict use_column
declare
  v_task pgflow.step_tasks;
  v_max_attempts integer;
  v_base_delay integer;
begin
  perform from pgflow.runs r where r.run_id = fail_task.run_id for update;
  select coalesce(d.opt_max_attempts, f.opt_max_attempts), coalesce(d.opt_base_delay, f.opt_base_delay)
  into v_max_attempts, v_base_delay
  from pgflow.step_states s
  join pgflow.flows f on f.flow_slug = s.flow_slug
  join pgflow.steps d on d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
  where s.run_id = fail_task.run_id and s.step_slug = fail_task.step_slug;
  update pgflow.step_tasks t
  set status = case when t.attempts_count < v_max_attempts then 'queued' else 'failed' end,
    started_at = case when t.attempts_count < v_max_attempts then null else t.started_at end,
    failed_at = case when t.attempts_count < v_max_attempts then null else now() end,
    error_message = fail_task.error_message
  where t.run_id = fail_task.run_id and t.step_slug = fail_task.step_slug and t.task_index = fail_task.task_index
    and t.status = 'started';
  select * into v_task from pgflow.step_tasks t
  where t.run_id = fail_task.run_id and t.step_slug = fail_task.step_slug and t.task_index = fail_task.task_index;
  if v_task.status = 'queued' then
    perform pgmq.set_vt(
      v_task.flow_slug, v_task.message_id, pgflow.calculate_retry_delay(v_base_delay, v_task.attempts_count)
    );
  elsif v_task.status = 'failed' then
    update pgflow.step_states s
    set status = 'failed', failed_at = now(), error_message = fail_task.error_message
    where s.run_id = v_task.run_id and s.step_slug = v_task.step_slug;
    update pgflow.runs r set status = 'failed', failed_at = now() where r.run_id = v_task.run_id;
    perform pgmq.archive(t.flow_slug, t.message_id) from pgflow.step_tasks t
    where t.run_id = v_task.run_id and (t.status in ('queued', 'started') or t.message_id = v_task.message_id);
  end if;
  if v_task.run_id is not null then
    return next v_task;
  end if;
end;
$$;

create function pgflow.requeue_stalled_tasks() returns integer
language plpgsql security definer set search_path to '' as $$
declare
  v_requeued integer;
begin
  with stalled as (
    select t.run_id, t.step_slug, t.task_index, t.requeued_count
    from pgflow.step_tasks t
    join pgflow.flows f on f.flow_slug = t.flow_slug
    where t.status = 'started' and t.permanently_stalled_at is null
      and t.started_at < now() - make_interval(secs => f.opt_timeout + 30)
    for update of t skip locked
  ),
  given_up as (
    update pgflow.step_tasks t
    set permanently_stalled_at = now()
    from stalled s
    where t.run_id = s.run_id and t.step_slug = s.step_slug and t.task_index = s.task_index
      and s.requeued_count >= 3
  ),
  requeued as (
    update pgflow.step_tasks t
    set status = 'queued', started_at = null, last_worker_id = null, requeued_count = t.requeued_count + 1,
      last_requeued_at = now()
    from stalled s
    where t.run_id = s.run_id and t.step_slug = s.step_slug and t.task_index = s.task_index
      and s.requeued_count < 3
    returning t.flow_slug, t.message_id
  )
  select count(*) into v_requeued
  from requeued r
  cross join lateral pgmq.set_vt(r.flow_slug, r.message_id, 0) as visible;
  return v_requeued;
end;
$$;

revoke all on schema pgflow from public;
