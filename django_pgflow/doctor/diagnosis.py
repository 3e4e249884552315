"""What the doctor says."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass, field
from typing import Any


class Level(enum.StrEnum):
    """How bad a finding is."""

    BROKEN = "broken"
    """Something does not work until somebody does something."""
    DANGEROUS = "dangerous"
    """It works, and can lose or repeat work."""
    MISSING = "missing"
    """The core lacks an ability."""
    LEFT_ALONE = "left alone"
    """Somebody else's; neither changed nor removed by us."""


HEADINGS = {
    Level.BROKEN: "Broken",
    Level.DANGEROUS: "Dangerous here",
    Level.MISSING: "Not possible here",
    Level.LEFT_ALONE: "Left alone",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: How bad it is.
        code: A name for scripts, as in ``"stalled_tasks"``.
        text: A sentence or two for people, with what to do.
    """

    level: Level
    code: str
    text: str


@dataclass
class Diagnosis:
    """All that was found.

    Attributes:
        facts: What is there, by name; texts for people.
        findings: In the order in which they were found.
    """

    facts: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, level: Level, code: str, text: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(level=level, code=code, text=text))

    def of(self, level: Level) -> list[Finding]:
        """Return the findings of one level."""
        return [finding for finding in self.findings if finding.level == level]

    def as_dict(self) -> dict[str, Any]:
        """Return all as a value for JSON."""
        return {"facts": self.facts, "findings": [asdict(finding) for finding in self.findings]}
