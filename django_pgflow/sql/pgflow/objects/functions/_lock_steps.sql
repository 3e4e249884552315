-- Locks runs by id, and with each the given ones of its step states by slug: the first two places in the order of locks.
-- Arrays in parallel. A step state is only ever locked after its run.
-- Called by _report_tasks and _give_back_tasks.
create function pgflow._lock_steps(
  run_ids uuid[],
  step_slugs text[]
)
returns void
language plpgsql
set search_path to ''
as $$
begin
  perform
  from (
    select distinct g.run_id, g.step_slug from unnest(_lock_steps.run_ids, _lock_steps.step_slugs) as g (run_id, step_slug)
  ) as given
  join pgflow.runs r on r.run_id = given.run_id
  join pgflow.step_states s on s.run_id = given.run_id and s.step_slug = given.step_slug
  order by r.run_id, s.step_slug
  for no key update of r, s;
end;
$$;
