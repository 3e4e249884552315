-- What is different between two shapes, as sentences, by step and then in the order below; empty if nothing is.
-- What a shape does not say counts as equal; for a pattern, as not defined. Options are not compared.
create function pgflow._compare_flow_shapes(
  p_local jsonb,
  p_db jsonb
)
returns text[]
language sql
stable
set search_path to ''
as $$
  with counts as (
    select
      (select count(*) from pgflow._shape_steps(p_local)) as local_count,
      (select count(*) from pgflow._shape_steps(p_db)) as db_count
  ),
  differences as (
    select -1 as step_index, 0 as rank, format('Step count differs: %s vs %s', c.local_count, c.db_count) as text
    from counts c
    where c.local_count <> c.db_count
    union all
    select found.step_index, found.rank, format('Step at index %s: %s', found.step_index, found.text)
    from (
      select coalesce(a.step_index, b.step_index) as step_index, line.rank, line.text
      from pgflow._shape_steps(p_local) a
      full join pgflow._shape_steps(p_db) b on b.step_index = a.step_index
      cross join lateral (
        values
          (
            1, a.step is null,
            format('missing in first shape (second has ''%s'')', b.step ->> 'slug')
          ),
          (
            2, b.step is null,
            format('missing in second shape (first has ''%s'')', a.step ->> 'slug')
          ),
          (
            3, a.step ->> 'slug' <> b.step ->> 'slug',
            format('slug differs ''%s'' vs ''%s''', a.step ->> 'slug', b.step ->> 'slug')
          ),
          (
            4, a.step ->> 'stepType' <> b.step ->> 'stepType',
            format('type differs ''%s'' vs ''%s''', a.step ->> 'stepType', b.step ->> 'stepType')
          ),
          (
            5, a.dependencies <> b.dependencies,
            format(
              'dependencies differ [%s] vs [%s]',
              array_to_string(a.dependencies, ', '), array_to_string(b.dependencies, ', ')
            )
          ),
          (
            6, a.step ->> 'whenUnmet' <> b.step ->> 'whenUnmet',
            format('whenUnmet differs ''%s'' vs ''%s''', a.step ->> 'whenUnmet', b.step ->> 'whenUnmet')
          ),
          (
            7, a.step ->> 'whenExhausted' <> b.step ->> 'whenExhausted',
            format('whenExhausted differs ''%s'' vs ''%s''', a.step ->> 'whenExhausted', b.step ->> 'whenExhausted')
          ),
          (
            8,
            pgflow._unwrap_pattern(a.step -> 'requiredInputPattern')
              is distinct from pgflow._unwrap_pattern(b.step -> 'requiredInputPattern'),
            format(
              'requiredInputPattern differs ''%s'' vs ''%s''',
              a.step -> 'requiredInputPattern', b.step -> 'requiredInputPattern'
            )
          ),
          (
            9,
            pgflow._unwrap_pattern(a.step -> 'forbiddenInputPattern')
              is distinct from pgflow._unwrap_pattern(b.step -> 'forbiddenInputPattern'),
            format(
              'forbiddenInputPattern differs ''%s'' vs ''%s''',
              a.step -> 'forbiddenInputPattern', b.step -> 'forbiddenInputPattern'
            )
          )
      ) as line (rank, differs, text)
      -- Of a step that only one shape has, nothing else is said.
      where line.differs and ((a.step is not null and b.step is not null) or line.rank <= 2)
    ) as found
  )
  select coalesce(array_agg(d.text order by d.step_index, d.rank), '{}')
  from differences d
$$;
