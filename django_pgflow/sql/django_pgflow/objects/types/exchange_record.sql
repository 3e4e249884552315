-- What exchange returns: a claimed task, or a report that was refused (then only what names the task is set).
create type django_pgflow.exchange_record as (
  kind text,
  flow_slug text,
  run_id uuid,
  step_slug text,
  task_index integer,
  attempt integer,
  input jsonb,
  msg_id bigint,
  max_attempts integer,
  timeout integer,
  -- How often a worker died with the task in its hands.
  requeued_count integer
);
