-- Whether a run failed by a condition on its input, which no retry can change: one of its steps failed without a task.
-- Called by retry_tasks and resume_runs, which have locked the run.
create function django_pgflow._failed_by_condition(run_id uuid)
returns boolean
language sql
stable
set search_path to ''
as $$
  select exists (
    select
    from pgflow.step_states s
    where s.run_id = _failed_by_condition.run_id
      and s.status = 'failed'
      and not exists (
        select
        from pgflow.step_tasks t
        where t.run_id = s.run_id and t.step_slug = s.step_slug and t.status = 'failed'
      )
  )
$$;
