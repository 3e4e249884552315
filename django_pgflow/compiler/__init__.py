"""Makes the database agree with the registry."""

from django_pgflow.compiler.ensure import Report, differences, sync

__all__ = ["Report", "differences", "sync"]
