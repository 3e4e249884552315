"""``manage.py pgflow_sync``: write the flows of the code to the database, or say what differs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from django_pgflow import compiler, conf, exceptions, registry


class Command(BaseCommand):
    """Parse, call the compiler, report."""

    help = (
        "Writes the flows of the code to the database, as `migrate` and a starting worker do. "
        "Changed options are updated; a flow with other steps is created anew if it has no runs, else refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--check", action="store_true", help="Change nothing; list what differs, and exit with 1 if anything does."
        )
        parser.add_argument(
            "--recreate",
            metavar="SLUG",
            action="append",
            default=[],
            help="Delete this flow with all its runs if its steps differ, and create it anew. May be repeated.",
        )
        parser.add_argument(
            "--no-input", "--noinput", action="store_false", dest="interactive", help="Delete runs without asking."
        )
        parser.add_argument(
            "--database",
            choices=tuple(connections),
            help="The database alias; by default PGFLOW['DATABASE'].",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command.

        Raises:
            CommandError: Something differs (with ``--check``) or was refused; the exit code is 1.
        """
        using = options["database"] or conf.get().DATABASE
        flows = registry.all_flows()
        try:
            differing = compiler.differences(flows, using=using)
            self._orphans(compiler.orphans(flows, using=using))
            if options["check"]:
                self._list(differing, using)
                return
            for slug in options["recreate"]:
                if slug not in flows:
                    raise exceptions.FlowNotFound(slug, flows)
                if options["interactive"]:
                    self._confirm(slug, differing, using)
            report = compiler.sync(flows, using=using, verbosity=options["verbosity"], recreate=options["recreate"])
        except exceptions.PgflowError as error:
            raise CommandError(str(error)) from error
        for slug in report.unchanged:
            if slug in options["recreate"]:
                self.stdout.write(f"Flow {slug!r} agrees with the database, and was not created anew.")
        if report.refused:
            raise CommandError(
                f"{len(report.refused)} of {len(flows)} flows were refused: {', '.join(report.refused)}."
            )
        if options["verbosity"]:
            self.stdout.write(self.style.SUCCESS(f"All {len(flows)} flows agree with the database {using!r}."))

    def _orphans(self, slugs: list[str]) -> None:
        if slugs:
            self.stdout.write(f"In the database, not in the code, and left alone: {', '.join(slugs)}.")

    def _list(self, differing: dict[str, list[str]], using: str) -> None:
        for slug, lines in differing.items():
            self.stdout.write(f"{slug}:")
            for line in lines:
                self.stdout.write(f"  {line}")
        if differing:
            raise CommandError(
                f"The database {using!r} differs from the code in {len(differing)} "
                f"flow{'' if len(differing) == 1 else 's'}: {', '.join(differing)}. Run `manage.py pgflow_sync`."
            )
        self.stdout.write(self.style.SUCCESS(f"All flows agree with the database {using!r}."))

    def _confirm(self, slug: str, differing: dict[str, list[str]], using: str) -> None:
        count = compiler.run_count(slug, using=using) if slug in differing else 0
        if not count:
            return
        try:
            answer = input(
                f"If its steps differ, this deletes the flow {slug!r} with all its {count} runs. Type 'yes': "
            )
        except EOFError:
            answer = ""
        if answer != "yes":
            raise CommandError("Nothing was changed. To delete runs without being asked, add --no-input.")
