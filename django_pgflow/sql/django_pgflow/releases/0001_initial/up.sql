-- What stands beside the core: the workers' exchange, control functions, views for the admin.

set local check_function_bodies = off;

create schema django_pgflow;
comment on schema django_pgflow is 'Installed by django-pgflow.';

\ir ../../objects/tables/010_waiting_workers.sql
\ir ../../objects/tables/020_failed_attempts.sql
\ir ../../objects/tables/030_run_details.sql
\ir ../../objects/tables/040_task_progress.sql
\ir ../../objects/tables/050_worker_details.sql
\ir ../../objects/tables/060_concurrency_limits.sql
\ir ../../objects/tables/070_limited_tasks.sql

\ir ../../objects/types/exchange_record.sql
\ir ../../objects/types/start_record.sql

\ir ../../objects/functions/_admit.sql
\ir ../../objects/functions/_claim_visible.sql
\ir ../../objects/functions/_delay_runs.sql
\ir ../../objects/functions/_failed_by_condition.sql
\ir ../../objects/functions/_free_places.sql
\ir ../../objects/functions/_held_tasks.sql
\ir ../../objects/functions/_limit_key.sql
\ir ../../objects/functions/_lost_workers.sql
\ir ../../objects/functions/_note_waiting.sql
\ir ../../objects/functions/_places_taken.sql
\ir ../../objects/functions/_requeue_tasks.sql
\ir ../../objects/functions/_resume_runs.sql
\ir ../../objects/functions/_server_started_at.sql
\ir ../../objects/functions/_set_aside.sql
\ir ../../objects/functions/_take_messages.sql
\ir ../../objects/functions/_wake_waiting.sql
\ir ../../objects/functions/cancel_runs.sql
\ir ../../objects/functions/exchange.sql
\ir ../../objects/functions/flush.sql
\ir ../../objects/functions/notify_queued.sql
\ir ../../objects/functions/requeue_lost_tasks.sql
\ir ../../objects/functions/restart_run.sql
\ir ../../objects/functions/resume_runs.sql
\ir ../../objects/functions/retry_tasks.sql
\ir ../../objects/functions/set_concurrency_limit.sql
\ir ../../objects/functions/start_flow.sql
\ir ../../objects/functions/start_flows.sql
\ir ../../objects/functions/wake_limited_tasks.sql
\ir ../../objects/functions/worker_lock.sql

\ir ../../objects/views/step_state_rows.sql
\ir ../../objects/views/step_task_rows.sql

\ir ../../objects/grants/public.sql
