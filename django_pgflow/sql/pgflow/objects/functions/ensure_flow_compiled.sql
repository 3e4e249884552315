-- Makes the database hold a flow of the given shape, and returns {"status": ..., "differences": [...]}:
-- compiled (the flow was missing), verified (equal; options stay as stored), mismatch (different, left alone) or
-- recompiled: where is_local() or allow_data_loss says so, a flow that differs is deleted WITH ALL ITS RUNS, and made
-- anew. Called by workers of other clients; django-pgflow itself compiles without it. Calls for one flow take turns.
create function pgflow.ensure_flow_compiled(
  flow_slug text,
  shape jsonb,
  allow_data_loss boolean default false
)
returns jsonb
language plpgsql
set search_path to ''
as $$
declare
  v_status text;
  v_differences text[] := '{}';
begin
  perform pg_advisory_xact_lock(1, hashtext(ensure_flow_compiled.flow_slug));

  if not exists (select from pgflow.flows f where f.flow_slug = ensure_flow_compiled.flow_slug) then
    v_status := 'compiled';
  else
    v_differences := pgflow._compare_flow_shapes(
      ensure_flow_compiled.shape,
      pgflow._get_flow_shape(ensure_flow_compiled.flow_slug)
    );
    v_status := case
      when v_differences = '{}' then 'verified'
      when ensure_flow_compiled.allow_data_loss or pgflow.is_local() then 'recompiled'
      else 'mismatch'
    end;
  end if;

  if v_status = 'recompiled' then
    perform pgflow.delete_flow_and_data(ensure_flow_compiled.flow_slug);
  end if;
  if v_status in ('compiled', 'recompiled') then
    perform pgflow._create_flow_from_shape(ensure_flow_compiled.flow_slug, ensure_flow_compiled.shape);
  end if;
  return jsonb_build_object('status', v_status, 'differences', to_jsonb(v_differences));
end;
$$;
