"""Django's ``flush``, which also empties the tables of pgflow: their models are unmanaged, so Django leaves them out.

``TransactionTestCase`` calls this command after each test.
"""

from __future__ import annotations

from typing import Any

from django.core.management.commands import flush
from django.db import connections, transaction

from django_pgflow import apps, conf, operations, registry


class Command(flush.Command):
    """Removes all data, runs and queues of pgflow included. Flows that the code defines stay defined."""

    help = flush.Command.help + " Includes the runs, tasks, workers and queues of pgflow."

    def handle(self, **options: Any) -> None:
        """Ask, then empty both in one transaction."""
        alias = options["database"]
        if alias != conf.get().DATABASE or operations.schema_comment(connections[alias], "django_pgflow") is None:
            super().handle(**options)
            return
        if options["interactive"]:
            question = (
                f"You have requested a flush of the database {connections[alias].settings_dict['NAME']!r}.\n"
                "This will IRREVERSIBLY DESTROY all data in it, the runs and queues of pgflow included.\n"
                "Are you sure you want to do this?\n\n    Type 'yes' to continue, or 'no' to cancel: "
            )
            if input(question) != "yes":
                self.stdout.write("Flush cancelled.")
                return
        with transaction.atomic(using=alias):
            with connections[alias].cursor() as cursor:
                cursor.execute(
                    "select django_pgflow.flush(kept_flow_slugs => %s::text[])", [list(registry.all_flows())]
                )
            super().handle(**{**options, "interactive": False})
            apps.sync_flows(using=alias, verbosity=0)
