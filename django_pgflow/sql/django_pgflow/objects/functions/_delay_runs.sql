-- Hides the messages of the queued tasks of runs that were just made until a time; a step's start delay comes on top.
-- A time that has passed changes nothing. Called by start_flow and start_flows. Locks the queue rows.
create function django_pgflow._delay_runs(
  run_ids uuid[],
  start_at timestamptz
)
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_seconds bigint := ceil(extract(epoch from _delay_runs.start_at - clock_timestamp()));
begin
  if v_seconds is null or v_seconds <= 0 then
    return;
  end if;
  perform pgflow._delay_messages(
    array_agg(t.flow_slug),
    array_agg(t.message_id),
    array_agg(least(v_seconds + coalesce(d.opt_start_delay, 0), 2147483647)::integer)
  )
  from pgflow.step_tasks t
  join pgflow.steps d on d.flow_slug = t.flow_slug and d.step_slug = t.step_slug
  where t.run_id = any (_delay_runs.run_ids)
    and t.status = 'queued';
end;
$$;
