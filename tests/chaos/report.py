"""The report: promises and figures as tables."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.chaos.crew import Crew
from tests.chaos.logs import Findings
from tests.chaos.monkey import Monkey
from tests.chaos.promises import Promise
from tests.chaos.watch import LEASE, Kill, Watch

DOCUMENT = Path(__file__).parents[2] / "docs" / "explanation" / "chaos.md"
MARKS = ("<!-- figures -->", "<!-- end of figures -->")
RECOVERY = 2.0
"""Seconds in which the tasks of a killed worker are in other hands, in the median."""
ENOUGH = 10
"""Kills of workers that held tasks, from which on the median says something."""
SHOWN = 10
"""Lines that are shown of each broken promise."""


def recovery(watch: Watch) -> Promise:
    """Say how long the tasks of killed workers waited. The median is judged if there are enough to have one."""
    held = [kill for kill in watch.kills if kill.held]
    settled = [kill for kill in held if kill.settled]
    broken = [f"tasks of killed worker {kill.pid} were never recovered" for kill in held if not kill.settled]
    if len(settled) >= ENOUGH and statistics.median(kill.seconds for kill in settled) >= RECOVERY:
        broken.append("the median is longer")
    return Promise(
        text=f"tasks of a killed worker in other hands within {RECOVERY:g} s (median of {ENOUGH} kills or more)",
        found=f"{spread(settled)}; {len(watch.kills)} kills, {sum(len(kill.held) for kill in held)} tasks",
        broken=broken,
    )


def spread(kills: Sequence[Kill]) -> str:
    """Return median, p95 and maximum of the seconds that the tasks of killed workers waited."""
    if not kills:
        return "none"
    seconds = sorted(kill.seconds for kill in kills)
    late = seconds[min(len(seconds) - 1, int(len(seconds) * 0.95))]
    return f"median {statistics.median(seconds):.1f} s, p95 {late:.1f} s, longest {seconds[-1]:.1f} s"


def of_processes(watch: Watch, crew: Crew, found: Findings) -> list[Promise]:
    """Return the promises that are not asked of the database."""
    tracebacks = [f"{count} times: {text}" for text, count in found.tracebacks.most_common()]
    return [
        Promise(
            text=f"no started task older than its timeout and {LEASE:g} s, looked at each second",
            found=f"{len(watch.overdue)}",
            broken=[f"{task}: {seconds:.0f} s beyond its timeout" for task, seconds in watch.overdue.items()],
        ),
        recovery(watch),
        Promise(
            text="no worker ended, or stayed, of its own accord",
            found=f"{len(crew.unexpected)}",
            broken=crew.unexpected,
        ),
        Promise(
            text="no traceback in the workers' logs but those of handlers that fail on purpose",
            found=f"{found.tracebacks.total()}",
            broken=tracebacks,
        ),
        Promise(
            text="no deadlock",
            found=f"{found.deadlocks}",
            broken=["see the errors of Postgres"] * bool(found.deadlocks),
        ),
    ]


def figures(monkey: Monkey, crew: Crew, watch: Watch, found: Findings) -> dict[str, str]:
    """Return what is to be told besides."""
    calm = [kill for kill in watch.kills if kill.held and kill.settled and watch.undisturbed(kill)]
    return {
        **{kind: f"{count}" for kind, count in monkey.counts.items()},
        "recovery of a killed worker's tasks while Postgres was there": spread(calm),
        "late reports that were refused": f"{found.refused_reports}",
        "worker processes in all": f"{len(crew.logs)}, of which {crew.refused_starts} found no Postgres at their start",
    }


def text(setting: str, promises: Sequence[Promise], numbers: Mapping[str, str]) -> str:
    """Write all as Markdown."""
    lines = [setting, "", "| promise | found | kept |", "| --- | --- | --- |"]
    lines += [f"| {one.text} | {one.found} | {'**no**' if one.broken else 'yes'} |" for one in promises]
    lines += ["", "| besides | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in numbers.items()]
    return "\n".join(lines) + "\n"


def details(promises: Sequence[Promise], found: Findings) -> str:
    """Return what shows where promises were broken, and what the logs say."""
    lines: list[str] = []
    for one in promises:
        if one.broken:
            lines += ["", f"BROKEN: {one.text}", *(f"  {line}" for line in one.broken[:SHOWN])]
            if len(one.broken) > SHOWN:
                lines.append(f"  ... and {len(one.broken) - SHOWN} more")
    for title, counter in (("Workers logged", found.records), ("Postgres logged", found.server_errors)):
        lines += ["", f"{title}:", *(f"  {count:6} {line}" for line, count in counter.most_common(30))]
    return "\n".join(lines)


def write(report: str) -> None:
    """Put the report into the documentation."""
    before, rest = DOCUMENT.read_text().split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    DOCUMENT.write_text(f"{before}{MARKS[0]}\n{report}{MARKS[1]}{after}")
