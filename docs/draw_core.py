"""Draw the pictures of ``explanation/core.md``: ``python -m docs.draw_core``. ``--check`` tells if they are old."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from django.utils.html import format_html, format_html_join

from django_pgflow.graph import svg
from django_pgflow.operations import SQL_FOLDER

IMAGES = Path(__file__).parent / "images"

CALL = re.compile(r"\b(?:django_)?pgflow\.(\w+)\(")

ENTRANCES = {
    "start_flow(s), restart_run": ("start_flow", "start_flows", "restart_run"),
    "start_tasks": ("start_tasks",),
    "complete_task, fail_task": ("complete_task", "fail_task"),
    "requeue_stalled_tasks": ("requeue_stalled_tasks",),
    "exchange": ("exchange",),
    "retry_tasks, resume_runs": ("retry_tasks", "resume_runs"),
    "cancel_runs": ("cancel_runs",),
}
"""The public functions that the picture shows, by what it calls them."""

LEAVES = {
    "_archive_messages", "_delay_messages", "_dependency_outputs", "_emit_runs", "_emit_steps", "_message",
    "_failed_by_condition", "_note_waiting", "_retry_delay", "_set_aside", "_unmet_steps",
    "notify_queued", "set_vt_batch", "_delay_runs", "_limit_key", "_places_taken",
}  # fmt: skip
"""Called from nearly everywhere, or deciding nothing: told of in the text."""


def bodies() -> dict[str, str]:
    """Return the functions of both schemas by name, those of the same name as one."""
    found: dict[str, str] = {}
    for path in sorted(SQL_FOLDER.glob("*/objects/functions/*.sql")):
        found[path.stem] = found.get(path.stem, "") + path.read_text(encoding="utf-8").split("as $$", 1)[-1]
    return found


def calls() -> str:
    """Draw which function of the engine calls which, as the SQL files have it."""
    called = {name: set(CALL.findall(body)) - {name} - LEAVES for name, body in bodies().items()}
    called |= {label: set().union(*(called[name] for name in names)) - LEAVES for label, names in ENTRANCES.items()}
    reached: list[str] = []
    waiting = list(ENTRANCES)
    while waiting:
        name = waiting.pop(0)
        if name not in reached:
            reached.append(name)
            waiting += sorted(called[name])
    edges = [(name, other) for name in reached for other in sorted(called[name])]
    nodes = [svg.Node(id=name, fill="#dcecf7" if name in ENTRANCES else "") for name in reached]
    return svg.draw(nodes, edges, title="Which function of the engine calls which")


BOXES = {
    "queued": (30, 130, "#f8f8f8"),
    "started": (340, 130, "#fff3c4"),
    "completed": (740, 20, "#d5f0d5"),
    "failed": (740, 110, "#f6d3d3"),
    "cancelled": (740, 200, "#e6e6e6"),
    "skipped": (740, 290, "#e6e6e6"),
}
ARROWS = (
    ("M 150 142 L 336 142", 243, 134, "claimed: attempt + 1"),
    ("M 340 164 L 154 164", 245, 180, "failed with attempts left: later;"),
    ("", 245, 195, "given back; stalled, three times"),
    ("M 460 140 C 540 120 600 46 736 41", 600, 66, "completed"),
    ("M 460 148 C 540 142 600 132 736 131", 600, 128, "failed for good"),
    ("M 460 156 C 540 170 600 216 736 221", 600, 208, "its run failed or was cancelled *"),
    ("M 430 172 C 460 260 600 310 736 311", 600, 284, "its step was skipped, by its handler or else *"),
    ("M 860 131 C 900 131 890 260 890 330 C 890 380 860 378 800 378 L 200 378 C 100 378 90 300 90 176", 0, 0, ""),
    (
        "M 860 221 C 885 221 890 260 890 300",
        450,
        372,
        "retried by hand, or the run resumed: fresh attempts, a new message",
    ),
    ("", 165, 235, "* queued ones, too"),
)
"""Ways from status to status with the place of their words."""


def life() -> str:
    """Draw the statuses of a task, and what leads from one to another."""
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="The life of a task" viewBox="0 0 910 400" '
        'width="910" height="400" font-family="{}"><defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#666"/></marker></defs>'
        '<rect width="910" height="400" fill="#fff"/>{}{}{}</svg>',
        svg.FONT,
        format_html_join(
            "",
            '<path d="{}" fill="none" stroke="#666" stroke-width="1.5" marker-end="url(#tip)"/>',
            ((way,) for way, *_ in ARROWS if way),
        ),
        format_html_join(
            "",
            '<text x="{}" y="{}" font-size="12" text-anchor="middle" fill="#444" stroke="#fff" stroke-width="5" '
            'paint-order="stroke">{}</text>',
            (tuple(words) for _, *words in ARROWS),
        ),
        format_html_join(
            "",
            '<rect x="{}" y="{}" width="120" height="42" rx="6" fill="{}" stroke="#999"/>'
            '<text x="{}" y="{}" font-size="14" text-anchor="middle" fill="#222">{}</text>',
            ((x, y, fill, x + 60, y + 26, status) for status, (x, y, fill) in BOXES.items()),
        ),
    )


def main() -> None:
    """Write the pictures, or compare them."""
    old = []
    for name, picture in {"core-calls.svg": calls(), "core-task.svg": life()}.items():
        path = IMAGES / name
        if "--check" not in sys.argv:
            path.write_text(f"{picture}\n", encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != f"{picture}\n":
            old.append(path.name)
    if old:
        sys.exit(f"Not what the SQL says any more: {', '.join(old)}. Draw anew: python -m docs.draw_core")


if __name__ == "__main__":
    main()
