"""Looks at a database and says what of pgflow is there, what is missing, dangerous or broken."""

from django_pgflow.doctor.diagnosis import Diagnosis, Finding, Level
from django_pgflow.doctor.inspection import examine

__all__ = ["Diagnosis", "Finding", "Level", "examine"]
