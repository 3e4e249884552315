-- Skips steps of started runs with all that depends on them, each step once, whatever its other parents do.
-- The given steps get their given reason and error, the others "dependency_skipped"; steps that have ended are passed
-- over. Returns how many steps were skipped.
-- Called by _skip_unmet, _end_failed_steps and _cascade_force_skip_steps. The caller has locked the runs.
create function pgflow._skip_cascade(
  run_ids uuid[],
  step_slugs text[],
  skip_reasons text[],
  error_messages text[] default null
)
returns integer
language plpgsql
set search_path to ''
as $$
declare
  v_run_ids uuid[];
  v_step_slugs text[];
  v_skip_reasons text[];
  v_error_messages text[];
begin
  with recursive downstream as (
    select s.flow_slug, s.run_id, s.step_slug
    from unnest(_skip_cascade.run_ids, _skip_cascade.step_slugs) as given (run_id, step_slug)
    join pgflow.step_states s on s.run_id = given.run_id and s.step_slug = given.step_slug
    union
    select e.flow_slug, u.run_id, e.step_slug
    from downstream u
    join pgflow.deps e on e.flow_slug = u.flow_slug and e.dep_slug = u.step_slug
  )
  select
    array_agg(s.run_id order by d.step_index),
    array_agg(s.step_slug order by d.step_index),
    array_agg(coalesce(given.skip_reason, 'dependency_skipped') order by d.step_index),
    array_agg(given.error_message order by d.step_index)
  into v_run_ids, v_step_slugs, v_skip_reasons, v_error_messages
  from downstream u
  join pgflow.step_states s on s.run_id = u.run_id and s.step_slug = u.step_slug
  join pgflow.steps d on d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
  left join unnest(
    _skip_cascade.run_ids, _skip_cascade.step_slugs, _skip_cascade.skip_reasons, _skip_cascade.error_messages
  ) as given (run_id, step_slug, skip_reason, error_message)
    on given.run_id = s.run_id and given.step_slug = s.step_slug
  where s.status in ('created', 'started');

  if v_run_ids is null then
    return 0;
  end if;
  perform pgflow._skip_steps(v_run_ids, v_step_slugs, v_skip_reasons, v_error_messages);
  perform pgflow._count_down(v_run_ids);
  return cardinality(v_run_ids);
end;
$$;
