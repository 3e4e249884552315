-- Claims the queued tasks behind messages that a worker has read; all else is passed over. See _claim_tasks.
-- With the setting pgflow.task_input = 'deps' the inputs have no key "run".
create function pgflow.start_tasks(
  flow_slug text,
  msg_ids bigint[],
  worker_id uuid
)
returns setof pgflow.step_task_record
language sql
set search_path to ''
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set join_collapse_limit to 1
set jit to off
as $$
  select
    start_tasks.flow_slug, c.run_id, c.step_slug, c.input, c.msg_id, c.task_index, c.flow_input
  from pgflow._claim_tasks(
    start_tasks.flow_slug,
    start_tasks.msg_ids,
    start_tasks.worker_id,
    omit_run => coalesce(current_setting('pgflow.task_input', true), '') = 'deps'
  ) c
$$;
