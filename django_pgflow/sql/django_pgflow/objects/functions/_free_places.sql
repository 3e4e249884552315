-- Gives up the places of tasks that were reported, and wakes those that wait for them. Arrays in parallel.
-- Called by exchange after the reports. Locks as _wake_waiting.
create function django_pgflow._free_places(
  run_ids uuid[],
  step_slugs text[],
  task_indexes integer[]
)
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_keys text[];
begin
  with freed as (
    delete from django_pgflow.limited_tasks l
    using unnest(_free_places.run_ids, _free_places.step_slugs, _free_places.task_indexes)
      as reported (run_id, step_slug, task_index)
    where l.run_id = reported.run_id
      and l.step_slug = reported.step_slug
      and l.task_index = reported.task_index
    returning l.key
  )
  select array_agg(f.key) into v_keys from freed f;
  if v_keys is not null then
    perform django_pgflow._wake_waiting(v_keys);
  end if;
end;
$$;
