-- Notes whether a worker waits for a notification. Writes only when that changes.
-- Called by exchange.
create function django_pgflow._note_waiting(
  worker_id uuid,
  flow_slugs text[],
  waiting boolean
)
returns void
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
begin
  if _note_waiting.waiting then
    insert into django_pgflow.waiting_workers (flow_slug, worker_id)
    select slug, _note_waiting.worker_id from unnest(_note_waiting.flow_slugs) as slug
    on conflict do nothing;
  else
    delete from django_pgflow.waiting_workers w
    where w.flow_slug = any (_note_waiting.flow_slugs)
      and w.worker_id = _note_waiting.worker_id;
  end if;
end;
$$;
