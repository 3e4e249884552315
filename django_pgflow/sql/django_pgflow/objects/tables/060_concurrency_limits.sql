-- Steps of which only so many tasks may be in the hands of workers at a time, of all workers together. Part of the
-- definition of a flow; without a row there is no limit.
create table django_pgflow.concurrency_limits (
  flow_slug text not null,
  step_slug text not null,
  max_count integer not null,
  -- Where in the run's input the key stands, for each value of which the limit holds; empty: one limit for all.
  key_path text[] not null default '{}',
  constraint concurrency_limits_pkey primary key (flow_slug, step_slug),
  constraint concurrency_limits_step_fkey foreign key (flow_slug, step_slug)
    references pgflow.steps (flow_slug, step_slug) on delete cascade,
  constraint max_count_is_positive check (max_count > 0)
);
