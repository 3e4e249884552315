-- Seconds before the next attempt, as calculate_retry_delay, but never more than an integer holds.
-- The one place that computes a delay for the engine.
create function pgflow._retry_delay(
  base_delay integer,
  attempts_count integer
)
returns integer
language sql
immutable
parallel safe
set search_path to ''
as $$
  select least(base_delay::bigint << least(attempts_count, 31), 2147483647)::integer
$$;
