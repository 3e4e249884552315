-- Empties all tables and queues of runs, tasks and workers, and deletes the flows that are not to be kept with their
-- definitions. What Django's flush does for its own tables.
-- Called by the management command flush. Locks the tables exclusively.
create function django_pgflow.flush(kept_flow_slugs text[])
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_flow record;
  v_is_empty boolean;
begin
  truncate
    pgflow.step_tasks, pgflow.step_states, pgflow.runs, pgflow.workers, pgflow.worker_functions,
    django_pgflow.waiting_workers, django_pgflow.failed_attempts, django_pgflow.run_details,
    django_pgflow.task_progress, django_pgflow.worker_details, django_pgflow.limited_tasks;

  for v_flow in
    select
      f.flow_slug,
      pgmq.format_table_name(f.flow_slug, 'q') as queue_table,
      pgmq.format_table_name(f.flow_slug, 'a') as archive_table
    from pgflow.flows f
    order by f.flow_slug
  loop
    if v_flow.flow_slug <> all (flush.kept_flow_slugs) then
      perform pgflow.delete_flow_and_data(v_flow.flow_slug);
      continue;
    end if;
    execute format(
      'select not exists (select from pgmq.%I) and not exists (select from pgmq.%I)',
      v_flow.queue_table, v_flow.archive_table
    )
    into v_is_empty;
    if not v_is_empty then
      execute format('truncate pgmq.%I, pgmq.%I', v_flow.queue_table, v_flow.archive_table);
    end if;
  end loop;
end;
$$;
