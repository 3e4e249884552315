-- Empties our own tables. The runs, flows and queues of a core that others installed are not ours to delete.
-- Called by the management command flush.
create function django_pgflow.flush(kept_flow_slugs text[])
returns void
language sql
set search_path to ''
as $$
  truncate django_pgflow.failed_attempts, django_pgflow.run_details, django_pgflow.task_progress
$$;
