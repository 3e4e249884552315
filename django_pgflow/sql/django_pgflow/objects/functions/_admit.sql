-- Decides which of some messages of one flow may be claimed besides those that are being claimed already, at most so
-- many, lowest first: those of steps without a limit, and of limited ones as many as each key has free places.
-- Returns these; those that wait for a place; and the steps of those that somebody else decides at this moment. What is
-- in none of them is beyond the quantity. Notes admitted and waiting tasks.
-- Two sessions that count the places of one key one after the other would both find the last one free; so a key is
-- decided by who has its advisory lock, until the end of the transaction. Nobody waits for it.
-- Called by _take_messages, which has locked the messages. Locks keys, and then rows of limited_tasks.
create function django_pgflow._admit(
  flow_slug text,
  message_ids bigint[],
  quantity integer,
  claiming_ids bigint[],
  out admitted_ids bigint[],
  out waiting_ids bigint[],
  out passed_slugs text[],
  out keys_count integer
)
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
declare
  v_message_ids bigint[];
  v_run_ids uuid[];
  v_step_slugs text[];
  v_task_indexes integer[];
  v_keys text[];
  v_max_counts integer[];
  v_locked_keys text[];
  v_places integer[];
begin
  -- The tasks among them that a limit can hold up.
  select
    array_agg(t.message_id), array_agg(t.run_id), array_agg(t.step_slug), array_agg(t.task_index),
    array_agg(django_pgflow._limit_key(_admit.flow_slug, t.step_slug, r.input, l.key_path)),
    array_agg(l.max_count)
  into v_message_ids, v_run_ids, v_step_slugs, v_task_indexes, v_keys, v_max_counts
  from unnest(_admit.message_ids) as given (message_id)
  cross join lateral (
    select queued.message_id, queued.run_id, queued.step_slug, queued.task_index
    from pgflow.step_tasks queued
    where queued.flow_slug = _admit.flow_slug
      and queued.message_id = given.message_id
      and queued.status = 'queued'
    offset 0  -- looked up for each message, never joined by a scan
  ) as t
  join django_pgflow.concurrency_limits l on l.flow_slug = _admit.flow_slug and l.step_slug = t.step_slug
  join pgflow.runs r on r.run_id = t.run_id;

  select array_agg(k.key), array_agg(k.max_count), count(*)
  into v_locked_keys, v_places, keys_count
  from (
    select distinct limited.key, limited.max_count
    from unnest(v_keys, v_max_counts) as limited (key, max_count)
    order by limited.key
  ) as k
  where pg_try_advisory_xact_lock(hashtextextended('django_pgflow.limit ' || k.key, 0));

  -- A statement of its own: it sees what those have committed who had the locks before.
  v_places := array(
    select k.max_count - django_pgflow._places_taken(k.key, _admit.claiming_ids)
    from unnest(v_locked_keys, v_places) with ordinality as k (key, max_count, position)
    order by k.position
  );

  with judged as (
    select
      given.message_id,
      limited.step_slug,
      case
        when limited.message_id is null then 'free'
        when k.key is null then 'passed'
        when row_number() over (partition by limited.key order by given.message_id) <= k.places then 'free'
        else 'waiting'
      end as verdict
    from unnest(_admit.message_ids) as given (message_id)
    left join unnest(v_message_ids, v_step_slugs, v_keys) as limited (message_id, step_slug, key)
      on limited.message_id = given.message_id
    left join unnest(v_locked_keys, v_places) as k (key, places) on k.key = limited.key
  )
  select
    (array_agg(j.message_id order by j.message_id) filter (where j.verdict = 'free'))[1:_admit.quantity],
    array_agg(j.message_id) filter (where j.verdict = 'waiting'),
    array_agg(distinct j.step_slug) filter (where j.verdict = 'passed')
  into admitted_ids, waiting_ids, passed_slugs
  from judged j;
  admitted_ids := coalesce(admitted_ids, '{}');
  waiting_ids := coalesce(waiting_ids, '{}');

  insert into django_pgflow.limited_tasks as noted (
    run_id, step_slug, task_index, flow_slug, key, message_id, is_admitted
  )
  select
    limited.run_id, limited.step_slug, limited.task_index, _admit.flow_slug, limited.key, limited.message_id,
    limited.message_id = any (admitted_ids)
  from unnest(v_run_ids, v_step_slugs, v_task_indexes, v_keys, v_message_ids)
    as limited (run_id, step_slug, task_index, key, message_id)
  where limited.message_id = any (admitted_ids || waiting_ids)
  order by limited.run_id, limited.step_slug, limited.task_index
  on conflict on constraint limited_tasks_pkey do update
    set key = excluded.key, message_id = excluded.message_id, is_admitted = excluded.is_admitted;
end;
$$;
