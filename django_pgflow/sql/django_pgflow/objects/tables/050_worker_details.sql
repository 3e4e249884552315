-- What the core does not know of workers. Only those of this package have a row.
create table django_pgflow.worker_details (
  worker_id uuid not null,
  hostname text not null,
  pid integer not null,
  version text not null,
  concurrency integer not null,
  -- Whether it holds its advisory lock for as long as its connection lives. Not through a transaction pooler.
  holds_lock boolean not null,
  -- Seconds without a sign of life after which it counts as lost.
  silence integer not null,
  -- Since when it looks lost.
  lost_at timestamptz,
  constraint worker_details_pkey primary key (worker_id),
  constraint worker_details_worker_id_fkey foreign key (worker_id) references pgflow.workers (worker_id)
    on delete cascade,
  constraint silence_is_positive check (silence > 0)
)
with (fillfactor = 70);
