-- The output of a step whose tasks are all completed: of a single step its task's, of a map the array of its tasks'
-- in the order of the task index, absent outputs as JSON null.
-- Called by _move_steps. Locks nothing.
create function pgflow._step_output(
  flow_slug text,
  run_id uuid,
  step_slug text
)
returns jsonb
language plpgsql
stable
set search_path to ''
as $$
begin
  return (
    select case d.step_type
      when 'map' then (
        select jsonb_agg(coalesce(t.output, 'null') order by t.task_index)
        from pgflow.step_tasks t
        where t.run_id = _step_output.run_id
          and t.step_slug = _step_output.step_slug
          and t.status = 'completed'
      )
      else (
        select t.output
        from pgflow.step_tasks t
        where t.run_id = _step_output.run_id
          and t.step_slug = _step_output.step_slug
          and t.task_index = 0
      )
    end
    from pgflow.steps d
    where d.flow_slug = _step_output.flow_slug
      and d.step_slug = _step_output.step_slug
  );
end;
$$;
