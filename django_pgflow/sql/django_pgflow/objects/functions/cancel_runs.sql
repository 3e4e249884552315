-- Cancels started runs: they are failed for the core, with the cancellation noted beside. Their started steps are
-- skipped with the reason "run_cancelled", their live tasks cancelled; late reports are refused.
-- Returns each run with what became of it: cancelled, not_found, or ended (before; nothing was changed).
-- Locks runs by id, then step states, then tasks, then queue rows.
create function django_pgflow.cancel_runs(
  run_ids uuid[],
  reason text default null
)
returns table (
  run_id uuid,
  outcome text
)
language plpgsql
set search_path to ''
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set join_collapse_limit to 1
set jit to off
as $$
#variable_conflict use_column
declare
  v_live_ids uuid[];
  v_found_ids uuid[];
begin
  with locked as (
    select r.run_id, r.status
    from pgflow.runs r
    where r.run_id = any (cancel_runs.run_ids)
    order by r.run_id
    for no key update
  )
  select
    coalesce(array_agg(l.run_id), '{}'),
    coalesce(array_agg(l.run_id) filter (where l.status = 'started'), '{}')
  into v_found_ids, v_live_ids
  from locked l;

  if cardinality(v_live_ids) > 0 then
    insert into django_pgflow.run_details as details (run_id, cancelled_at, cancel_reason)
    select live.run_id, now(), nullif(cancel_runs.reason, '')
    from unnest(v_live_ids) as live (run_id)
    on conflict (run_id) do update
      set cancelled_at = excluded.cancelled_at, cancel_reason = excluded.cancel_reason;
    perform pgflow._fail_runs(v_live_ids, 'run_cancelled');
  end if;

  return query
    select
      given.run_id,
      case
        when given.run_id = any (v_live_ids) then 'cancelled'
        when given.run_id = any (v_found_ids) then 'ended'
        else 'not_found'
      end
    from unnest(cancel_runs.run_ids) with ordinality as given (run_id, position)
    order by given.position;
end;
$$;
