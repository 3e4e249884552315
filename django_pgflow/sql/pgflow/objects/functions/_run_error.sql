-- The error of a failed run, as {"error_message": text}: that of the step that failed it. A type violation is told by
-- the step's event alone, and a cancelled run has no error: {}.
-- Called by _emit_runs. Locks nothing.
create function pgflow._run_error(run_id uuid)
returns jsonb
language sql
stable
set search_path to ''
as $$
  select coalesce(
    (
      select jsonb_build_object('error_message', s.error_message)
      from pgflow.step_states s
      where s.run_id = _run_error.run_id
        and s.status = 'failed'
        and coalesce(s.error_message, '') not like '[TYPE_VIOLATION]%'
      order by s.failed_at, s.step_slug
      limit 1
    ),
    '{}'
  )
$$;
