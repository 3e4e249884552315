-- Tells whether this database is Supabase's local development stack, known by its well-known JWT secret. Never NULL.
create function pgflow.is_local()
returns boolean
language sql
stable
parallel safe
set search_path to ''
as $$
  select coalesce(
    current_setting('app.settings.jwt_secret', true) = 'super-secret-jwt-token-with-at-least-32-characters-long',
    false
  )
$$;
