-- Locks step states by run and slug, the second place in the order of locks. Arrays in parallel.
-- Called by _report_tasks and requeue_stalled_tasks, which have locked the runs.
create function pgflow._lock_steps(
  run_ids uuid[],
  step_slugs text[]
)
returns void
language plpgsql
set search_path to ''
as $$
begin
  perform from pgflow.step_states s
  where (s.run_id, s.step_slug) in (select * from unnest(_lock_steps.run_ids, _lock_steps.step_slugs))
  order by s.run_id, s.step_slug
  for no key update;
end;
$$;
