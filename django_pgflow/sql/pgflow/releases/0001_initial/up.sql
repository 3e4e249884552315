-- The core's tables and functions: the contract of pgflow 0.14, written for sets.

-- Functions may name others that come later.
set local check_function_bodies = off;

create schema pgflow;
comment on schema pgflow is 'Installed by django-pgflow.';

\ir ../../objects/functions/is_valid_slug.sql

\ir ../../objects/tables/010_flows.sql
\ir ../../objects/tables/020_steps.sql
\ir ../../objects/tables/030_deps.sql
\ir ../../objects/tables/040_runs.sql
\ir ../../objects/tables/050_step_states.sql
\ir ../../objects/tables/060_workers.sql
\ir ../../objects/tables/070_step_tasks.sql
\ir ../../objects/tables/080_worker_functions.sql

\ir ../../objects/types/step_task_record.sql

\ir ../../objects/functions/_advance.sql
\ir ../../objects/functions/_archive_messages.sql
\ir ../../objects/functions/_archive_task_message.sql
\ir ../../objects/functions/_cascade_force_skip_steps.sql
\ir ../../objects/functions/_claim_tasks.sql
\ir ../../objects/functions/_close_tasks.sql
\ir ../../objects/functions/_compare_flow_shapes.sql
\ir ../../objects/functions/_complete_runs.sql
\ir ../../objects/functions/_complete_taskless.sql
\ir ../../objects/functions/_count_down.sql
\ir ../../objects/functions/_create_flow_from_shape.sql
\ir ../../objects/functions/_delay_messages.sql
\ir ../../objects/functions/_dependency_outputs.sql
\ir ../../objects/functions/_emit.sql
\ir ../../objects/functions/_emit_runs.sql
\ir ../../objects/functions/_emit_steps.sql
\ir ../../objects/functions/_end_failed_steps.sql
\ir ../../objects/functions/_fail_runs.sql
\ir ../../objects/functions/_get_flow_shape.sql
\ir ../../objects/functions/_give_back_tasks.sql
\ir ../../objects/functions/_has_audience.sql
\ir ../../objects/functions/_hold_queue.sql
\ir ../../objects/functions/_judge_reports.sql
\ir ../../objects/functions/_lock_steps.sql
\ir ../../objects/functions/_message.sql
\ir ../../objects/functions/_move_steps.sql
\ir ../../objects/functions/_queue_tasks.sql
\ir ../../objects/functions/_release_dependents.sql
\ir ../../objects/functions/_report_late.sql
\ir ../../objects/functions/_report_tasks.sql
\ir ../../objects/functions/_require_schema.sql
\ir ../../objects/functions/_retry_delay.sql
\ir ../../objects/functions/_run_error.sql
\ir ../../objects/functions/_schedule_job.sql
\ir ../../objects/functions/_shape_steps.sql
\ir ../../objects/functions/_skip_cascade.sql
\ir ../../objects/functions/_skip_steps.sql
\ir ../../objects/functions/_skip_unmet.sql
\ir ../../objects/functions/_stalled_tasks.sql
\ir ../../objects/functions/_start_runs.sql
\ir ../../objects/functions/_start_steps.sql
\ir ../../objects/functions/_unmet_steps.sql
\ir ../../objects/functions/_unwrap_pattern.sql
\ir ../../objects/functions/_wrap_pattern.sql
\ir ../../objects/functions/add_step.sql
\ir ../../objects/functions/calculate_retry_delay.sql
\ir ../../objects/functions/cascade_complete_taskless_steps.sql
\ir ../../objects/functions/cascade_resolve_conditions.sql
\ir ../../objects/functions/cleanup_ensure_workers_logs.sql
\ir ../../objects/functions/complete_task.sql
\ir ../../objects/functions/create_flow.sql
\ir ../../objects/functions/delete_flow_and_data.sql
\ir ../../objects/functions/ensure_flow_compiled.sql
\ir ../../objects/functions/ensure_workers.sql
\ir ../../objects/functions/fail_task.sql
\ir ../../objects/functions/get_run_with_states.sql
\ir ../../objects/functions/is_local.sql
\ir ../../objects/functions/mark_worker_stopped.sql
\ir ../../objects/functions/maybe_complete_run.sql
\ir ../../objects/functions/poll_for_tasks.sql
\ir ../../objects/functions/prune_data_older_than.sql
\ir ../../objects/functions/requeue_stalled_tasks.sql
\ir ../../objects/functions/set_vt_batch.sql
\ir ../../objects/functions/setup_ensure_workers_cron.sql
\ir ../../objects/functions/setup_requeue_stalled_tasks_cron.sql
\ir ../../objects/functions/start_flow.sql
\ir ../../objects/functions/start_flow_with_states.sql
\ir ../../objects/functions/start_ready_steps.sql
\ir ../../objects/functions/start_tasks.sql
\ir ../../objects/functions/track_worker_function.sql

\ir ../../objects/grants/public.sql
