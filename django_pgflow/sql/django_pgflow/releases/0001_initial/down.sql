-- Removes what stands beside the core.
drop schema django_pgflow cascade;
