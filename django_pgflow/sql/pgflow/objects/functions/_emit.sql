-- Sends events to the topics of their runs, in the order of the arrays, which are parallel. The one place that sends:
-- through realtime.send where the database has it, else nowhere. What an aborted transaction sent is not delivered.
-- Called by _emit_runs and _emit_steps. Locks nothing.
create function pgflow._emit(
  run_ids uuid[],
  events text[],
  payloads jsonb[]
)
returns void
language plpgsql
set search_path to ''
as $$
begin
  perform realtime.send(sent.payload, sent.event, 'pgflow:run:' || sent.run_id, false)
  from (
    select *
    from unnest(_emit.run_ids, _emit.events, _emit.payloads) with ordinality as e (run_id, event, payload, position)
    order by e.position
  ) as sent;
end;
$$;
