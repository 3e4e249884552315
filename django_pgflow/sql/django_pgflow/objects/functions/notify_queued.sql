-- Wakes the workers of a flow at commit, by its slug on channel pgflow_queued, but only if one waits: a commit with a
-- notification holds up all others of its kind.
-- Called where tasks become claimable. Locks nothing.
create function django_pgflow.notify_queued(flow_slug text)
returns void
language plpgsql
set search_path to ''
as $$
begin
  if exists (select from django_pgflow.waiting_workers w where w.flow_slug = notify_queued.flow_slug) then
    perform pg_notify('pgflow_queued', notify_queued.flow_slug);
  end if;
end;
$$;
