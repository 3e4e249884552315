-- Moves runs as far as they go without a worker: decides conditions and completes taskless steps until neither
-- changes anything, then starts what is ready and ends the runs that have nothing left.
-- Called after steps ended or runs were made. The caller has locked the runs.
create function pgflow._advance(run_ids uuid[])
returns void
language plpgsql
set search_path to ''
as $$
declare
  v_has_conditions boolean := exists (
    select
    from pgflow.runs r
    join pgflow.steps d on d.flow_slug = r.flow_slug
    where r.run_id = any (_advance.run_ids)
      and (d.required_input_pattern is not null or d.forbidden_input_pattern is not null)
  );
begin
  -- Every pass but the last ends a step, so there are at most as many passes as steps.
  loop
    continue when v_has_conditions and pgflow._skip_unmet(_advance.run_ids) > 0;
    exit when pgflow._complete_taskless(_advance.run_ids) = 0;
  end loop;
  perform pgflow._start_steps(_advance.run_ids);
  perform pgflow._complete_runs(_advance.run_ids);
end;
$$;
