-- How many places of a limit are taken: by tasks that are in the hands of workers. Their status says so, and no
-- counter: it cannot be wrong after a crash. Tasks that the caller is about to claim count, too.
-- Called by _admit, for a key that it has locked, and by _wake_waiting. Locks nothing.
create function django_pgflow._places_taken(
  key text,
  claiming_ids bigint[] default '{}'
)
returns integer
language plpgsql
set search_path to ''
as $$
begin
  return (
    -- Found by themselves: joined, they could be looked for in the order of another index, all of them.
    with admitted as materialized (
      select a.run_id, a.step_slug, a.task_index, a.message_id
      from django_pgflow.limited_tasks a
      where a.key = _places_taken.key and a.is_admitted
    )
    select count(*)::integer
    from admitted a
    join pgflow.step_tasks t on t.run_id = a.run_id and t.step_slug = a.step_slug and t.task_index = a.task_index
    where t.status = 'started' or a.message_id = any (_places_taken.claiming_ids)
  );
end;
$$;
