-- When the server began to take connections, all earlier ones being lost: when it was started, or came back after a crash
-- of one of its processes, for which it discards its statistics. Unlike pg_stat_activity, anybody may read that.
-- Called by _lost_workers. Locks nothing.
create function django_pgflow._server_started_at()
returns timestamptz
language sql
stable
set search_path to ''
as $$
  select greatest(pg_postmaster_start_time(), (select b.stats_reset from pg_stat_bgwriter b))
$$;
