-- Workers that found no work and wait for a notification, a row for each of their flows. Lost in a crash, which does
-- no harm: a waiting worker looks again by itself and then writes its row anew.
create unlogged table django_pgflow.waiting_workers (
  flow_slug text not null,
  worker_id uuid not null,
  constraint waiting_workers_pkey primary key (flow_slug, worker_id)
);
