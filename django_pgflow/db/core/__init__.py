"""What the database can be asked to do, for each core that may be there."""

from django_pgflow.db.core.choice import afor_alias, core_for, definitions_for_alias, for_alias, forget

__all__ = ["afor_alias", "core_for", "definitions_for_alias", "for_alias", "forget"]
