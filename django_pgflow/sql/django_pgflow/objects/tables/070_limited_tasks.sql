-- Tasks of limited steps that were read from their queue: admitted ones, which count against the limit for as long as
-- they are started, and waiting ones, whose messages are hidden until there is a free place. What counts is the status
-- of the task, so a place cannot get lost; rows that mean nothing any more are dropped by those who meet them.
-- No foreign key leads from here: deleting and updating tasks must not cost more for it where nothing is limited.
create table django_pgflow.limited_tasks (
  run_id uuid not null,
  step_slug text not null,
  task_index integer not null,
  flow_slug text not null,
  -- What the limit counts for: "flow.step:", and behind it the value of the key, if there is one.
  key text not null,
  message_id bigint not null,
  is_admitted boolean not null,
  constraint limited_tasks_pkey primary key (run_id, step_slug, task_index)
);

-- Counting what has a place. Conditions on the key alone leave the planner no other choice, however small the table was
-- when it made its plan.
create index idx_limited_tasks_admitted on django_pgflow.limited_tasks (key) where is_admitted;
-- Who waits, in the order of the queue.
create index idx_limited_tasks_waiting on django_pgflow.limited_tasks (key, message_id) where not is_admitted;
