-- Decides the conditions of the ready steps: one round. Returns how many steps were skipped in a way that can make
-- others ready. A step whose condition is unmet fails its run, is skipped, or is skipped with all that depends on it.
-- Called by _advance and cascade_resolve_conditions. The caller has locked the runs.
create function pgflow._skip_unmet(run_ids uuid[])
returns integer
language plpgsql
set search_path to ''
as $$
declare
  v_run_ids uuid[];
  v_step_slugs text[];
  v_skipped_count integer := 0;
begin
  -- Of the steps that fail their run, the first in the flow does.
  select array_agg(u.run_id), array_agg(u.step_slug)
  into v_run_ids, v_step_slugs
  from (
    select distinct on (unmet.run_id) unmet.run_id, unmet.step_slug
    from pgflow._unmet_steps(_skip_unmet.run_ids) unmet
    where unmet.when_unmet = 'fail'
    order by unmet.run_id, unmet.step_index
  ) u;
  if v_run_ids is not null then
    update pgflow.step_states s
    set status = 'failed', failed_at = greatest(now(), s.created_at), error_message = 'Condition not met'
    from unnest(v_run_ids, v_step_slugs) as unmet (run_id, step_slug)
    where s.run_id = unmet.run_id and s.step_slug = unmet.step_slug;
    perform pgflow._emit_steps(v_run_ids, v_step_slugs);
    perform pgflow._fail_runs(v_run_ids);
  end if;

  select array_agg(unmet.run_id), array_agg(unmet.step_slug)
  into v_run_ids, v_step_slugs
  from pgflow._unmet_steps(_skip_unmet.run_ids) unmet
  where unmet.when_unmet = 'skip';
  if v_run_ids is not null then
    perform pgflow._skip_steps(
      v_run_ids, v_step_slugs, array_fill('condition_unmet'::text, array[cardinality(v_run_ids)])
    );
    perform pgflow._release_dependents(v_run_ids, v_step_slugs);
    perform pgflow._count_down(v_run_ids);
    v_skipped_count := cardinality(v_run_ids);
  end if;

  select array_agg(unmet.run_id), array_agg(unmet.step_slug)
  into v_run_ids, v_step_slugs
  from pgflow._unmet_steps(_skip_unmet.run_ids) unmet
  where unmet.when_unmet = 'skip-cascade';
  if v_run_ids is not null then
    perform pgflow._skip_cascade(
      v_run_ids, v_step_slugs, array_fill('condition_unmet'::text, array[cardinality(v_run_ids)])
    );
  end if;
  return v_skipped_count;
end;
$$;
