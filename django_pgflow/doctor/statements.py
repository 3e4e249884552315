"""What the doctor asks. Nothing here writes, locks, or calls a function of the core."""

from __future__ import annotations

SERVER = """
    select current_database() as name, current_setting('server_version') as version, current_user::text as role,
      pg_is_in_recovery() as is_standby,
      (select extversion from pg_extension where extname = 'pgmq') as pgmq_version
"""

CALLS_REALTIME = """
    select exists (
      select from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace and n.nspname = 'pgflow'
      where p.prosrc ~* '(perform|select)\\s+realtime\\.send'
        and coalesce(obj_description(n.oid, 'pg_namespace'), '') <> 'Installed by django-pgflow.'
    ) as value
"""

# The functions run with the rights of their caller, so a worker needs these on what they touch.
GRANTS = """
    with needed_schemas as (
      select 'usage' as privilege, 'schema ' || n.nspname as name, has_schema_privilege(n.oid, 'usage') as has
      from pg_namespace n
      where n.nspname in ('pgflow', 'pgmq', 'django_pgflow')
    ),
    needed_tables as (
      select privilege, 'table ' || n.nspname || '.' || c.relname as name, has_table_privilege(c.oid, privilege) as has
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      cross join unnest(
        case
          when n.nspname = 'pgflow' and c.relname in ('flows', 'steps', 'deps') then array['select']
          when n.nspname = 'pgflow' and c.relname in ('runs', 'step_states', 'step_tasks', 'workers')
            then array['select', 'insert', 'update']
          when n.nspname = 'pgmq' and c.relname = 'meta' then array['select']
          when n.nspname = 'pgmq' and c.relname like 'q\\_%' then array['select', 'insert', 'update', 'delete']
          when n.nspname = 'pgmq' and c.relname like 'a\\_%' then array['insert']
          else '{}'
        end
      ) as privilege
      where c.relkind in ('r', 'p')
    ),
    needed_functions as (
      select 'execute' as privilege, 'function ' || n.nspname || '.' || p.proname as name,
        has_function_privilege(p.oid, 'execute') as has
      from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'django_pgflow'
        or n.nspname = 'pgflow' and p.proname in (
          'start_flow', 'start_tasks', 'complete_task', 'fail_task', 'requeue_stalled_tasks', 'mark_worker_stopped'
        )
        or n.nspname = 'pgmq' and p.proname in ('read', 'set_vt', 'send_batch', 'archive')
    )
    select distinct privilege, name
    from (
      select * from needed_schemas union all select * from needed_tables union all select * from needed_functions
    ) as needed
    where not has
    order by name, privilege
"""

STALLED_FOR_GOOD = """
    select t.run_id, t.step_slug, t.task_index
    from pgflow.step_tasks t
    join pgflow.runs r on r.run_id = t.run_id and r.status = 'started'
    where t.permanently_stalled_at is not null and t.status = 'started'
    order by t.permanently_stalled_at
    limit 1000
"""

OVERDUE = """
    select t.run_id, t.step_slug, t.task_index
    from pgflow.runs r
    join pgflow.step_tasks t on t.run_id = r.run_id
    join pgflow.flows f on f.flow_slug = t.flow_slug
    join pgflow.steps s on s.flow_slug = t.flow_slug and s.step_slug = t.step_slug
    where r.status = 'started'
      and t.status = 'started'
      and t.started_at < now() - make_interval(secs => greatest(s.opt_timeout, f.opt_timeout) + 60)
      -- Those that were given up are listed by themselves; older cores have no such column.
      and to_jsonb(t) ->> 'permanently_stalled_at' is null
    order by t.started_at
    limit 1000
"""

RUNS_WITHOUT_TASKS = """
    select r.run_id
    from pgflow.runs r
    where r.status = 'started'
      and not exists (
        select from pgflow.step_tasks t where t.run_id = r.run_id and t.status in ('queued', 'started')
      )
    order by r.started_at
    limit 1000
"""

FLOWS = """
    select f.flow_slug, 'q_' || lower(f.flow_slug) as queue_table, c.oid is not null as has_queue
    from pgflow.flows f
    left join pg_class c
      on c.relname = 'q_' || lower(f.flow_slug)
      and c.relnamespace = (select oid from pg_namespace where nspname = 'pgmq')
    order by f.flow_slug
"""

LIVE_WORKERS = """
    select function_name
    from pgflow.workers
    where last_heartbeat_at > clock_timestamp() - interval '1 minute'
      and to_jsonb(workers) ->> 'stopped_at' is null
    order by function_name
"""

SLOW_STEPS = """
    select s.flow_slug, s.step_slug, s.opt_timeout as timeout
    from pgflow.steps s
    join pgflow.flows f on f.flow_slug = s.flow_slug
    where s.opt_timeout > f.opt_timeout + 30
    order by s.flow_slug, s.step_index
"""

OVERFLOWING = """
    select s.flow_slug || '.' || s.step_slug as name
    from pgflow.steps s
    join pgflow.flows f on f.flow_slug = s.flow_slug
    where coalesce(s.opt_base_delay, f.opt_base_delay)
      * power(2::numeric, least(coalesce(s.opt_max_attempts, f.opt_max_attempts) - 1, 100)) >= 2147483648
    order by s.flow_slug, s.step_index
"""

# What pgflow.is_local() looks at.
IS_LOCAL = """
    select coalesce(current_setting('app.settings.jwt_secret', true), '')
      = 'super-secret-jwt-token-with-at-least-32-characters-long' as value
"""

OTHER_QUEUES = """
    select queue_name from pgmq.meta
    where lower(queue_name) not in (select lower(flow_slug) from pgflow.flows)
    order by queue_name
"""

JOBS = "select jobname || ' (' || schedule || ')' as job from cron.job where jobname like 'pgflow%' order by jobname"


def unannounced(queue_table: str) -> str:
    """Return the question for tasks that are queued and have no message; with a parameter ``flow_slug``."""
    # The name of a flow's table: quotes cannot be in it, since pgmq refuses them, but doubling them costs nothing.
    name = queue_table.replace('"', '""').replace("%", "%%")
    return f"""
        select t.run_id, t.step_slug, t.task_index
        from pgflow.runs r
        join pgflow.step_tasks t on t.run_id = r.run_id
        where r.flow_slug = %(flow_slug)s
          and r.status = 'started'
          and t.status = 'queued'
          and not exists (select from pgmq."{name}" q where q.msg_id = t.message_id)
        order by t.queued_at
        limit 1000
    """  # noqa: S608 - quoted
