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
    set key = django_pgflow._limit_key(r.input, set_concurrency_limit.key_path)
    from pgflow.runs r
    where t.flow_slug = set_concurrency_limit.flow_slug
      and t.step_slug = set_concurrency_limit.step_slug
      and r.run_id = t.run_id
      and t.key <> django_pgflow._limit_key(r.input, set_concurrency_limit.key_path);
  end if;

  v_keys := array(
    select distinct t.key
    from django_pgflow.limited_tasks t
    where t.flow_slug = set_concurrency_limit.flow_slug
      and t.step_slug = set_concurrency_limit.step_slug
      and not t.is_admitted
  );
  if v_keys <> '{}' then
    perform django_pgflow._wake_waiting(
      array_fill(set_concurrency_limit.flow_slug, array[cardinality(v_keys)]),
      array_fill(set_concurrency_limit.step_slug, array[cardinality(v_keys)]),
      v_keys
    );
  end if;
end;
$$;
