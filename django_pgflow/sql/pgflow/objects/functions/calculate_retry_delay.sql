-- Seconds before the next attempt, after so many starts: base * 2 ^ attempts, unlimited.
-- The core itself waits as pgflow._retry_delay says.
create function pgflow.calculate_retry_delay(
  base_delay numeric,
  attempts_count integer
)
returns integer
language sql
immutable
parallel safe
set search_path to ''
as $$
  select floor(base_delay * power(2::numeric, attempts_count))::integer
$$;
