-- Removes the core with all flows, runs and queues of flows.
do $$
begin
  perform pgmq.drop_queue(f.flow_slug) from pgflow.flows f;
end;
$$;

drop schema pgflow cascade;
