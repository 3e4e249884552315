"""``manage.py pgflow_doctor``: say what of pgflow is in the database, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.db.utils import OperationalError

from django_pgflow import conf, doctor
from django_pgflow.doctor.diagnosis import HEADINGS


class Command(BaseCommand):
    """Parse, ask the doctor, report."""

    help = (
        "Says which core and which queue the database has, who installed them, what is not possible, dangerous or "
        "broken there, and what is left alone. Changes nothing. Exits with 1 if something is broken."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--json", action="store_true", help="Print a JSON document: facts, and findings with codes."
        )
        parser.add_argument(
            "--database", choices=tuple(connections), help="The database alias; by default PGFLOW['DATABASE']."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command.

        Raises:
            CommandError: Something is broken; the exit code is 1.
        """
        using = options["database"] or conf.get().DATABASE
        try:
            diagnosis = doctor.examine(using)
        except OperationalError as error:
            raise CommandError(f"The database {using!r} cannot be used: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps(diagnosis.as_dict(), indent=2))
        else:
            self._print(diagnosis)
        if broken := diagnosis.of(doctor.Level.BROKEN):
            raise CommandError(f"Broken: {', '.join(finding.code for finding in broken)}.")

    def _print(self, diagnosis: doctor.Diagnosis) -> None:
        width = max(len(name) for name in diagnosis.facts) if diagnosis.facts else 0
        for name, text in diagnosis.facts.items():
            self.stdout.write(f"{name:<{width}}  {text}")
        for level, heading in HEADINGS.items():
            if findings := diagnosis.of(level):
                style = self.style.ERROR if level == doctor.Level.BROKEN else self.style.MIGRATE_HEADING
                self.stdout.write(style(f"\n{heading}"))
                for finding in findings:
                    self.stdout.write(f"- {finding.text}")
        if not diagnosis.of(doctor.Level.BROKEN):
            self.stdout.write(self.style.SUCCESS("\nNothing is broken."))
