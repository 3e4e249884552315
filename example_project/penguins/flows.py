"""The flow ``import_penguins``: read a file, import each row, look up each island, and add it all up.

rows --.-> penguin (a task for each row) ---------------------.
       |                                                       >--> summary
       '-> islands --> position (a task for each island) -----'
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import quote

import requests
from django.conf import settings
from django.db.models import Avg, Count

from django_pgflow import Context, Flow
from example_project.penguins import table
from example_project.penguins.models import Penguin, RejectedRow, SpeciesSummary

import_penguins = Flow("import_penguins", verbose_name="Import penguins")


class TooManyRequests(Exception):
    """The service asks to come back later."""


@import_penguins.array
def rows(flow_input: dict[str, str]) -> list[dict[str, Any]]:
    """Read the file."""
    return table.read(flow_input["file"])


@import_penguins.map(over=rows)
def penguin(row: dict[str, Any], flow_input: dict[str, str]) -> dict[str, Any]:
    """Import one row. A bad row is an answer, not a failure: trying again would not mend it."""
    values, problems = table.validate(row)
    if problems:
        RejectedRow.objects.update_or_create(
            file=flow_input["file"],
            line=row["line"],
            defaults={"problems": problems, "comment": table.comment(row)},
        )
        return {"line": row["line"], "problems": problems}
    key = {name: values.pop(name) for name in ("individual", "egg_laid_on", "species")}
    found, created = Penguin.objects.update_or_create(**key, defaults=values)
    return {"line": row["line"], "penguin": found.pk, "created": created}


@import_penguins.array
def islands(rows: list[dict[str, Any]]) -> list[str]:
    """Name each island once."""
    return sorted({row["Island"] for row in rows})


@import_penguins.map(over=islands, max_attempts=6, base_delay=1)
def position(island: str, ctx: Context) -> dict[str, str]:
    """Ask where an island lies. The service answers one request a second, so some attempts fail; later ones do not."""
    response = requests.get(f"{settings.SITE_URL}/islands/{quote(island)}/", timeout=10)
    if response.status_code == requests.codes.too_many_requests:
        raise TooManyRequests(
            f"Attempt {ctx.attempt} of {ctx.max_attempts} for {island!r} came too early: "
            f"the service asks to wait {response.headers.get('Retry-After')} s."
        )
    response.raise_for_status()
    return response.json()


@import_penguins.step
def summary(penguin: list[dict[str, Any]], position: list[dict[str, str]]) -> dict[str, Any]:
    """Compute and save the aggregate."""
    positions = {island["name"]: island for island in position}
    groups = Penguin.objects.values("species", "island").annotate(
        count=Count("pk"), mass=Avg("body_mass_g"), flipper=Avg("flipper_length_mm")
    )
    for group in groups:
        SpeciesSummary.objects.update_or_create(
            species=group["species"],
            island=group["island"],
            defaults={
                "latitude": positions[group["island"]]["latitude"],
                "longitude": positions[group["island"]]["longitude"],
                "penguin_count": group["count"],
                "mean_body_mass_g": round(group["mass"], 1),
                "mean_flipper_length_mm": round(group["flipper"], 1),
            },
        )
    rejected = [row for row in penguin if "problems" in row]
    return {
        "imported": len(penguin) - len(rejected),
        "rejected": len(rejected),
        "problems": dict(Counter(problem for row in rejected for problem in row["problems"])),
        "groups": len(groups),
    }
