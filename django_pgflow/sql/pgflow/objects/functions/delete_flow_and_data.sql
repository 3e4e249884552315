-- Deletes a flow, its queue and archive, and all its runs. Cannot be undone. An unknown flow is no error.
-- Locks the flow's runs by id, then the queue, so that reports under way end first.
create function pgflow.delete_flow_and_data(p_flow_slug text)
returns void
language plpgsql
set search_path to ''
as $$
begin
  perform from pgflow.runs where flow_slug = p_flow_slug order by run_id for update;
  perform pgmq.drop_queue(p_flow_slug);
  delete from django_pgflow.limited_tasks where flow_slug = p_flow_slug;
  delete from pgflow.step_tasks where flow_slug = p_flow_slug;
  delete from pgflow.step_states where flow_slug = p_flow_slug;
  delete from pgflow.runs where flow_slug = p_flow_slug;
  delete from pgflow.deps where flow_slug = p_flow_slug;
  delete from pgflow.steps where flow_slug = p_flow_slug;
  delete from pgflow.flows where flow_slug = p_flow_slug;
end;
$$;
