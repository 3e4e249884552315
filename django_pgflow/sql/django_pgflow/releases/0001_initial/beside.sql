-- What stands beside a core that others installed. The core is left as it is: no trigger, no foreign key, no function
-- leads to it. There is no exchange; workers use the public functions. The files in beside/ give the names of
-- objects/ the meaning that they can have here.

set local check_function_bodies = off;

create schema django_pgflow;
comment on schema django_pgflow is 'Installed by django-pgflow.';

\ir ../../beside/tables/020_failed_attempts.sql
\ir ../../beside/tables/030_run_details.sql
\ir ../../beside/tables/040_task_progress.sql

\ir ../../beside/functions/flush.sql

\ir ../../beside/views/step_state_rows.sql
\ir ../../beside/views/step_task_rows.sql

\ir ../../objects/grants/public.sql
