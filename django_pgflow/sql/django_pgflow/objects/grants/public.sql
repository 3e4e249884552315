-- Nobody may do anything here unless told so.
revoke all on schema django_pgflow from public;
revoke all on all tables in schema django_pgflow from public;
revoke all on all functions in schema django_pgflow from public;
