-- Limits how many tasks of a step are in the hands of all workers at a time; NULL for any number. With a key the limit
-- holds for each value at that path of the run's input. Tasks that wait are judged anew. Tasks that began before their
-- step had any limit do not count.
-- Called by pgflow_sync. Locks the row of the limit, then as _wake_waiting.
create function django_pgflow.set_concurrency_limit(
  flow_slug text,
  step_slug text,
  max_count integer,
  key_path text[] default '{}'
)
returns void
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
  v_keys text[];
begin
  if set_concurrency_limit.max_count is null then
    delete from django_pgflow.concurrency_limits l
    where l.flow_slug = set_concurrency_limit.flow_slug and l.step_slug = set_concurrency_limit.step_slug;
  else
    insert into django_pgflow.concurrency_limits as l (flow_slug, step_slug, max_count, key_path)
    values (
      set_concurrency_limit.flow_slug, set_concurrency_limit.step_slug, set_concurrency_limit.max_count,
      set_concurrency_limit.key_path
    )
    on conflict on constraint concurrency_limits_pkey do update
      set max_count = excluded.max_count, key_path = excluded.key_path;
    update django_pgflow.limited_tasks t
    set key = judged.key
    from (
      select
        l.run_id, l.step_slug, l.task_index,
        django_pgflow._limit_key(l.flow_slug, l.step_slug, r.input, set_concurrency_limit.key_path) as key
      from django_pgflow.limited_tasks l
      join pgflow.runs r on r.run_id = l.run_id
      where l.flow_slug = set_concurrency_limit.flow_slug
        and l.step_slug = set_concurrency_limit.step_slug
    ) as judged
    where t.run_id = judged.run_id
      and t.step_slug = judged.step_slug
      and t.task_index = judged.task_index
      and t.key <> judged.key;
  end if;

  v_keys := array(
    select distinct t.key
    from django_pgflow.limited_tasks t
    where t.flow_slug = set_concurrency_limit.flow_slug
      and t.step_slug = set_concurrency_limit.step_slug
      and not t.is_admitted
  );
  if v_keys <> '{}' then
    perform django_pgflow._wake_waiting(v_keys);
  end if;
end;
$$;
