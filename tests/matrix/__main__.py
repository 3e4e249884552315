"""Run the tests that depend on the server against each PostgreSQL: ``make test-matrix``.

What cannot be had on this machine is skipped, and said so. ``ARGS`` are versions: ``make test-matrix ARGS="14 17"``.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import subprocess
import sys
import time

from tests.matrix import servers

VERSIONS = (14, 15, 16, 17, 18)
LINES = 200
"""How much of what pytest said of a failure is printed."""

FOLDERS = ("tests/sql", "tests/sql_plans", "tests/migrations", "tests/integration")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one version."""

    version: int
    verdict: str
    seconds: float = 0.0
    summary: str = ""
    origin: str = ""


def run(version: int, folders: list[str], verbose: bool) -> Outcome:
    """Run the tests against one version; on a failure, print what pytest said."""
    begin = time.monotonic()
    try:
        with servers.server(version) as (url, origin):
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", *folders],
                # The name of a test database is the name in the URL with a prefix.
                env={**os.environ, "DATABASE_URL": url.removesuffix("/postgres") + "/pgflow"},
                stdout=None if verbose else subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
    except servers.CannotBeHad as reason:
        return Outcome(version=version, verdict="skipped", summary=str(reason))
    said = done.stdout or ""
    if done.returncode:
        print("\n".join(said.splitlines()[-LINES:]))
    found = re.findall(r"^=*\s*(\d+ \w+.*?) in [\d.]+s", said, re.MULTILINE)
    return Outcome(
        version=version,
        verdict="failed" if done.returncode else "passed",
        seconds=time.monotonic() - begin,
        summary=found[-1] if found else "",
        origin=origin,
    )


def table(outcomes: list[Outcome]) -> str:
    """Write the outcomes as text."""
    rows = [("PostgreSQL", "", "seconds", "tests", "server")] + [
        (str(one.version), one.verdict, f"{one.seconds:.0f}", one.summary, one.origin) for one in outcomes
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="make test-matrix")
    parser.add_argument("versions", nargs="*", type=int, help=f"of {', '.join(map(str, VERSIONS))}; all by default")
    parser.add_argument("--folder", action="append", help=f"in place of {', '.join(FOLDERS)}; may be repeated")
    parser.add_argument("--verbose", action="store_true", help="print all that pytest says")
    arguments = parser.parse_args()
    outcomes = []
    for version in arguments.versions or VERSIONS:
        print(f"PostgreSQL {version} ...", flush=True)
        outcomes.append(run(version, arguments.folder or list(FOLDERS), arguments.verbose))
        print(f"PostgreSQL {version} {outcomes[-1].verdict}: {outcomes[-1].summary}", flush=True)
    print(f"\n{table(outcomes)}")
    sys.exit(any(one.verdict == "failed" for one in outcomes))


if __name__ == "__main__":
    main()
