"""Makes the database agree with the registry."""

from django_pgflow.compiler.ensure import Report, differences, orphans, run_count, sync

__all__ = ["Report", "differences", "orphans", "run_count", "sync"]
