-- How many tasks of a limited step are in the hands of workers, for one value of its key. Their status says so, and no
-- counter: it cannot be wrong after a crash. Tasks that the caller is about to claim count, too.
-- Called by _admit, for a key that it has locked, and by _wake_waiting. Locks nothing.
create function django_pgflow._places_taken(
  flow_slug text,
  step_slug text,
  key text,
  claiming_ids bigint[] default '{}'
)
returns integer
language plpgsql
set search_path to ''
as $$
begin
  return (
    select count(*)::integer
    from django_pgflow.limited_tasks a
    join pgflow.step_tasks t on t.run_id = a.run_id and t.step_slug = a.step_slug and t.task_index = a.task_index
    where a.flow_slug = _places_taken.flow_slug
      and a.step_slug = _places_taken.step_slug
      and a.key = _places_taken.key
      and a.is_admitted
      and (t.status = 'started' or a.message_id = any (_places_taken.claiming_ids))
  );
end;
$$;
