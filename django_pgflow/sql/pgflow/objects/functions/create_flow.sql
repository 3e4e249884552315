-- Creates a flow and its queue, each if it is missing, and returns the flow.
-- An existing flow keeps its options. Two slugs that differ only in case are refused: they would share a queue.
create function pgflow.create_flow(
  flow_slug text,
  max_attempts integer default null,
  base_delay integer default null,
  timeout integer default null
)
returns pgflow.flows
language plpgsql
set search_path to ''
as $$
#variable_conflict use_column
declare
  v_twin text;
  v_flow pgflow.flows;
begin
  select f.flow_slug into v_twin
  from pgflow.flows f
  where lower(f.flow_slug) = lower(create_flow.flow_slug)
    and f.flow_slug <> create_flow.flow_slug;
  if found then
    raise exception 'Flow slug "%" differs only in case from the existing flow "%"; both would share one queue',
      create_flow.flow_slug, v_twin;
  end if;

  insert into pgflow.flows (flow_slug, opt_max_attempts, opt_base_delay, opt_timeout)
  values (
    create_flow.flow_slug,
    coalesce(create_flow.max_attempts, 3),
    coalesce(create_flow.base_delay, 5),
    coalesce(create_flow.timeout, 60)
  )
  on conflict do nothing;

  if not exists (select from pgmq.list_queues() q where q.queue_name = create_flow.flow_slug) then
    perform pgmq.create(create_flow.flow_slug);
  end if;

  select * into v_flow from pgflow.flows f where f.flow_slug = create_flow.flow_slug;
  return v_flow;
end;
$$;
