-- The key of the advisory lock that a worker holds for as long as its connection lives.
-- Called by workers, and by requeue_lost_tasks.
create function django_pgflow.worker_lock(worker_id uuid)
returns bigint
language sql
immutable
set search_path to ''
as $$
  select hashtextextended(worker_lock.worker_id::text, 0)
$$;
