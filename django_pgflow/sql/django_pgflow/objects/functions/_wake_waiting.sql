-- Makes waiting messages visible, for each of some keys as many as it has free places, lowest first, and notifies
-- workers. It takes no place for them: whoever reads them does. Rows of tasks that do not wait any more are dropped as
-- far as they stand in the way.
-- Called by _free_places, wake_limited_tasks and set_concurrency_limit. Locks rows of limited_tasks, and queue rows;
-- what others hold is passed over.
create function django_pgflow._wake_waiting(keys text[])
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_key record;
  v_message_ids bigint[];
  v_dead_count integer;
  v_count integer;
begin
  for v_key in
    select k.*
    from (
      select given.key, first_one.flow_slug, l.max_count - django_pgflow._places_taken(given.key) as places
      from (select distinct g.key from unnest(_wake_waiting.keys) as g (key)) as given
      cross join lateral (
        select w.flow_slug, w.step_slug
        from django_pgflow.limited_tasks w
        where w.key = given.key and not w.is_admitted
        order by w.message_id
        limit 1
      ) as first_one
      left join django_pgflow.concurrency_limits l
        on l.flow_slug = first_one.flow_slug and l.step_slug = first_one.step_slug
    ) as k
    where k.places > 0 or k.places is null  -- the limit is gone
    order by k.key
  loop
    -- Again, if there are too many that do not wait any more: a large run may have been cancelled.
    for v_round in 1 .. 50 loop
      with first_ones as materialized (
        select w.run_id, w.step_slug, w.task_index, w.message_id
        from django_pgflow.limited_tasks w
        where w.key = v_key.key and not w.is_admitted
        order by w.message_id
        limit v_key.places + 20
      ),
      judged as materialized (
        select f.*, t.message_id is not distinct from f.message_id and t.status = 'queued' as is_waiting
        from first_ones f
        left join pgflow.step_tasks t
          on t.run_id = f.run_id and t.step_slug = f.step_slug and t.task_index = f.task_index
      ),
      dropped as (
        delete from django_pgflow.limited_tasks d
        using (
          select l.run_id, l.step_slug, l.task_index
          from judged j
          join django_pgflow.limited_tasks l
            on l.run_id = j.run_id and l.step_slug = j.step_slug and l.task_index = j.task_index
          where j.is_waiting is not true or v_key.places is null
          for update of l skip locked
        ) as gone
        where d.run_id = gone.run_id
          and d.step_slug = gone.step_slug
          and d.task_index = gone.task_index
      )
      select
        (array_agg(j.message_id order by j.message_id) filter (where j.is_waiting))
          [1:coalesce(v_key.places, 2147483647)],
        count(*) filter (where j.is_waiting is not true)
      into v_message_ids, v_dead_count
      from judged j;
      exit when v_dead_count = 0 or v_key.places is null or cardinality(v_message_ids) = v_key.places;
    end loop;

    continue when v_message_ids is null or not pgflow._hold_queue(v_key.flow_slug);
    execute format(
      $query$
        update pgmq.%1$I q
        set vt = least(q.enqueued_at, clock_timestamp())
        where q.msg_id = any (array(
          select hidden.msg_id
          from pgmq.%1$I hidden
          where hidden.msg_id = any ($1) and hidden.vt > clock_timestamp()
          order by hidden.msg_id
          for update skip locked
        ))
      $query$,
      pgmq.format_table_name(v_key.flow_slug, 'q')
    )
    using v_message_ids;
    get diagnostics v_count = row_count;
    if v_count > 0 then
      perform django_pgflow.notify_queued(v_key.flow_slug);
    end if;
  end loop;
end;
$$;
