-- Counts a step as ended for each place of the array, of runs that are not to be completed yet.
-- Called where steps end without a task of theirs. The caller has locked the runs.
create function pgflow._count_down(run_ids uuid[])
returns void
language plpgsql
set search_path to ''
as $$
begin
  update pgflow.runs r
  set remaining_steps = r.remaining_steps - ended.steps_count
  from (
    select e.run_id, count(*)::integer as steps_count from unnest(_count_down.run_ids) as e (run_id) group by e.run_id
  ) as ended
  where r.run_id = ended.run_id;
end;
$$;
