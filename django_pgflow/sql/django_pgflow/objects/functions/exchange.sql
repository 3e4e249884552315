-- A worker's one statement: takes its reports, then claims up to so many due tasks, shared fairly among flows. What
-- the reports release can be claimed by the same call. Reports as _report_tasks takes them, in parallel arrays.
-- Returns the claimed tasks, and the reports that did not count. A worker that listens is noted as waiting for a
-- notification of the flows of which it gets nothing; it says itself for which of them it may be noted already (by
-- default for all). A worker that wants no more than so many tasks of some flows or steps says so in flow_rooms,
-- {"flow": 2}, and step_rooms, {"flow": {"step": 1}}.
-- Like every entrance to the engine it fixes how statements are planned: once, by index, joined as written. The
-- tables may have been empty, or a million rows shorter, when a session planned its statements.
-- Locks as _report_tasks and then as _claim_visible, which waits for nobody.
create function django_pgflow.exchange(
  worker_id uuid,
  flow_slugs text[],
  capacity integer,
  run_ids uuid[] default '{}',
  step_slugs text[] default '{}',
  task_indexes integer[] default '{}',
  attempts integer[] default '{}',
  outcomes text[] default '{}',
  outputs jsonb[] default '{}',
  error_messages text[] default '{}',
  delays integer[] default null,
  error_classes text[] default null,
  tracebacks text[] default null,
  listening boolean default true,
  waiting_slugs text[] default null,
  flow_rooms jsonb default null,
  step_rooms jsonb default null
)
returns setof django_pgflow.exchange_record
language plpgsql
set search_path to ''
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set join_collapse_limit to 1
set jit to off
as $$
#variable_conflict use_column
declare
  v_counted integer[];
  v_flows_count integer := cardinality(exchange.flow_slugs);
  v_first integer := floor(random() * v_flows_count)::integer;
  v_flow_slug text;
  v_quota integer;
  v_room integer;
  v_taken integer;
  v_left integer := exchange.capacity;
  v_full_slugs text[] := '{}';
  v_full_rooms integer[] := '{}';
  v_found_slugs text[] := '{}';
  v_empty_slugs text[] := '{}';
begin
  if cardinality(exchange.run_ids) > 0 then
    v_counted := pgflow._report_tasks(
      exchange.run_ids, exchange.step_slugs, exchange.task_indexes, exchange.outcomes, exchange.outputs,
      exchange.error_messages, exchange.attempts, exchange.worker_id, exchange.delays, exchange.error_classes,
      exchange.tracebacks
    );
    if exists (select from django_pgflow.concurrency_limits) then
      perform django_pgflow._free_places(
        array_agg(given.run_id), array_agg(given.step_slug), array_agg(given.task_index)
      )
      from unnest(exchange.run_ids, exchange.step_slugs, exchange.task_indexes)
        with ordinality as given (run_id, step_slug, task_index, position)
      where given.position = any (v_counted);
    end if;
    if cardinality(v_counted) < cardinality(exchange.run_ids) then
      return query
        select
          'refused'::text, null::text, given.run_id, given.step_slug, given.task_index, given.attempt, null::jsonb,
          null::bigint, null::integer, null::integer, null::integer
        from unnest(exchange.run_ids, exchange.step_slugs, exchange.task_indexes, exchange.attempts)
          with ordinality as given (run_id, step_slug, task_index, attempt, position)
        where given.position <> all (v_counted);
    end if;
  end if;

  -- An equal share for each flow, begun at another one each time; what one leaves goes to those after it.
  for v_place in 0 .. v_flows_count - 1 loop
    exit when v_left <= 0;
    v_flow_slug := exchange.flow_slugs[(v_first + v_place) % v_flows_count + 1];
    v_room := (exchange.flow_rooms ->> v_flow_slug)::integer;
    v_quota := least(v_room, ceil(v_left::numeric / (v_flows_count - v_place))::integer);
    continue when v_quota <= 0;
    return query
      select * from django_pgflow._claim_visible(
        v_flow_slug, v_quota, exchange.worker_id, exchange.step_rooms -> v_flow_slug
      );
    get diagnostics v_taken = row_count;
    v_left := v_left - v_taken;
    if v_taken = 0 then
      v_empty_slugs := v_empty_slugs || v_flow_slug;
    else
      v_found_slugs := v_found_slugs || v_flow_slug;
    end if;
    if v_taken = v_quota and exchange.step_rooms -> v_flow_slug is null then
      v_full_slugs := v_full_slugs || v_flow_slug;
      v_full_rooms := v_full_rooms || v_room - v_taken;
    end if;
  end loop;
  -- What is left then goes to the flows that had more than their share, if they have room.
  for v_place in 1 .. cardinality(v_full_slugs) loop
    exit when v_left <= 0;
    v_quota := least(v_full_rooms[v_place], v_left);
    continue when v_quota <= 0;
    return query
      select * from django_pgflow._claim_visible(v_full_slugs[v_place], v_quota, exchange.worker_id, null);
    get diagnostics v_taken = row_count;
    v_left := v_left - v_taken;
  end loop;

  if exchange.listening and v_empty_slugs <> '{}' then
    perform django_pgflow._note_waiting(exchange.worker_id, v_empty_slugs, true);
  end if;
  if exchange.listening and v_found_slugs && coalesce(exchange.waiting_slugs, exchange.flow_slugs) then
    perform django_pgflow._note_waiting(exchange.worker_id, v_found_slugs, false);
  end if;
end;
$$;
