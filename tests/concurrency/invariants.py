"""What holds of all runs of a flow at rest, whatever came before: rules as statements that return what breaks them."""

from __future__ import annotations

from psycopg import sql as text

from tests.fixtures.sql import Sql

RULES = {
    "remaining_steps counts the steps that are neither completed nor skipped": """
        select r.run_id, r.remaining_steps
        from pgflow.runs r
        where r.flow_slug = %(slug)s and r.status = 'started' and r.remaining_steps <> (
          select count(*) from pgflow.step_states s
          where s.run_id = r.run_id and s.status not in ('completed', 'skipped')
        )
    """,
    "a started run waits for something that is started": """
        select r.run_id
        from pgflow.runs r
        where r.flow_slug = %(slug)s and r.status = 'started' and not exists (
          select from pgflow.step_states s where s.run_id = r.run_id and s.status = 'started'
        )
    """,
    "a completed run has completed or skipped all its steps": """
        select r.run_id, r.remaining_steps, s.step_slug, s.status
        from pgflow.runs r
        join pgflow.step_states s on s.run_id = r.run_id
        where r.flow_slug = %(slug)s and r.status = 'completed'
          and (s.status not in ('completed', 'skipped') or s.skip_reason in ('run_failed', 'run_cancelled')
            or r.remaining_steps <> 0)
    """,
    "a run that has ended left no step started": """
        select s.run_id, s.step_slug
        from pgflow.step_states s
        join pgflow.runs r on r.run_id = s.run_id
        where r.flow_slug = %(slug)s and r.status <> 'started' and s.status = 'started'
    """,
    "remaining_tasks of a started step are the tasks not completed, and there are as many as were planned": """
        select s.run_id, s.step_slug, s.remaining_tasks, s.initial_tasks
        from pgflow.step_states s
        where s.flow_slug = %(slug)s and s.status = 'started' and (s.remaining_tasks, s.initial_tasks) <> (
          select count(*) filter (where t.status <> 'completed'), count(*)
          from pgflow.step_tasks t
          where t.run_id = s.run_id and t.step_slug = s.step_slug
        )
    """,
    "the tasks of a started step can all be completed yet": """
        select t.run_id, t.step_slug, t.task_index, t.status
        from pgflow.step_tasks t
        join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
        where t.flow_slug = %(slug)s and s.status = 'started' and t.status not in ('queued', 'started', 'completed')
    """,
    "a completed step has completed all its tasks": """
        select s.run_id, s.step_slug
        from pgflow.step_states s
        where s.flow_slug = %(slug)s and s.status = 'completed' and (0, s.initial_tasks) <> (
          select count(*) filter (where t.status <> 'completed'), count(*)
          from pgflow.step_tasks t
          where t.run_id = s.run_id and t.step_slug = s.step_slug
        )
    """,
    "remaining_deps of a created step are the dependencies neither completed nor skipped": """
        select s.run_id, s.step_slug, s.remaining_deps
        from pgflow.step_states s
        where s.flow_slug = %(slug)s and s.status = 'created' and s.remaining_deps <> (
          select count(*)
          from pgflow.deps e
          join pgflow.step_states parent on parent.run_id = s.run_id and parent.step_slug = e.dep_slug
          where e.flow_slug = s.flow_slug and e.step_slug = s.step_slug
            and (parent.status not in ('completed', 'skipped')
              or parent.skip_reason in ('run_failed', 'run_cancelled'))
        )
    """,
    "a started run has no step that waits for nothing": """
        select s.run_id, s.step_slug
        from pgflow.step_states s
        join pgflow.runs r on r.run_id = s.run_id
        where s.flow_slug = %(slug)s and r.status = 'started' and s.status = 'created' and s.remaining_deps = 0
    """,
    "live tasks belong to started steps": """
        select t.run_id, t.step_slug, t.task_index, t.status, s.status as step_status
        from pgflow.step_tasks t
        join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
        where t.flow_slug = %(slug)s and t.status in ('queued', 'started') and s.status <> 'started'
    """,
    "the queue holds the messages of the live tasks and no other": """
        select t.run_id, t.step_slug, t.task_index, t.status, q.msg_id
        from (select * from pgflow.step_tasks where flow_slug = %(slug)s and status in ('queued', 'started')) as t
        full join {queue} q on q.msg_id = t.message_id
        where t.run_id is null or q.msg_id is null
    """,
    "no message is in queue and archive at once": """
        select q.msg_id from {queue} q join {archive} a on a.msg_id = q.msg_id
    """,
    "each failed attempt was an attempt, and each failed task has its own": """
        select t.run_id, t.step_slug, t.task_index, t.attempts_count
        from pgflow.step_tasks t
        left join (
          select run_id, step_slug, task_index, max(attempt) as last
          from django_pgflow.failed_attempts
          group by run_id, step_slug, task_index
        ) as a using (run_id, step_slug, task_index)
        where t.flow_slug = %(slug)s
          and (a.last > t.attempts_count or (t.status = 'failed' and a.last is distinct from t.attempts_count))
    """,
}


def broken(sql: Sql, flow_slug: str) -> dict[str, list[object]]:
    """Return the rules that do not hold of a flow's runs, each with what breaks it."""
    tables = {"queue": text.Identifier("pgmq", f"q_{flow_slug}"), "archive": text.Identifier("pgmq", f"a_{flow_slug}")}
    found = {rule: sql.rows(text.SQL(query).format(**tables), slug=flow_slug) for rule, query in RULES.items()}
    return {rule: rows for rule, rows in found.items() if rows}
