"""The Django app: finds every ``flows.py``, registers the checks, writes the flows to the database after migrate."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class PgflowConfig(AppConfig):
    """App ``pgflow``."""

    name = "django_pgflow"
    label = "pgflow"
    verbose_name = _("pgflow")

    def ready(self) -> None:
        """Import the flows of all apps, and connect what hangs on Django's signals."""
        from django_pgflow import checks, registry

        registry.autodiscover()
        checks.register()
        post_migrate.connect(sync_flows, sender=self)


def sync_flows(*, using: str, verbosity: int, **kwargs: Any) -> None:
    """Write the registered flows to the database, once the migrations of that database have run."""
    from django_pgflow import compiler, conf, operations, registry

    settings = conf.get()
    # The signal comes after every migrate, also one that stopped before our tables or removed them.
    if settings.SYNC and using == settings.DATABASE and operations.schema_comment(connections[using], "django_pgflow"):
        compiler.sync(registry.all_flows(), using=using, verbosity=verbosity)
