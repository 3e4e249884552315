"""Reading and validating the table; knows no database. `data/SOURCES.md` says where it comes from."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "data"
MISSING = {"", "NA", "."}


def read(file: str) -> list[dict[str, Any]]:
    """Return the rows of a file in ``data/``, each with the number of its line in the file."""
    with (FOLDER / Path(file).name).open(encoding="utf-8", newline="") as lines:
        return [{"line": number, **row} for number, row in enumerate(csv.DictReader(lines), start=2)]


def validate(row: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a row, and the problems that keep it out."""
    values: dict[str, Any] = {}
    problems: list[str] = []

    def take(name: str, column: str, convert: Callable[[str], Any]) -> None:
        text = str(row.get(column) or "").strip()
        if text in MISSING:
            problems.append(f"{column} is missing")
            return
        try:
            values[name] = convert(text)
        except (ValueError, InvalidOperation) as error:
            problems.append(f"{column} is {text!r}: {error or 'not a number'}")

    take("individual", "Individual ID", str)
    take("egg_laid_on", "Date Egg", date.fromisoformat)
    take("species", "Species", _species)
    take("island", "Island", str)
    take("sex", "Sex", _sex)
    take("bill_length_mm", "Culmen Length (mm)", _between(10, 100))
    take("bill_depth_mm", "Culmen Depth (mm)", _between(5, 50))
    take("flipper_length_mm", "Flipper Length (mm)", _between(100, 300))
    take("body_mass_g", "Body Mass (g)", _between(1000, 10000))
    return values, problems


def comment(row: dict[str, Any]) -> str:
    """Return what the file says about a row."""
    text = str(row.get("Comments") or "").strip()
    return "" if text in MISSING else text


def _species(text: str) -> str:
    # "Adelie Penguin (Pygoscelis adeliae)", but "Gentoo penguin (Pygoscelis papua)": one has a small p.
    return text.partition("(")[0].strip().capitalize()


def _sex(text: str) -> str:
    if text.lower() not in {"female", "male"}:
        raise ValueError("neither female nor male")
    return text.lower()


def _between(low: int, high: int) -> Callable[[str], Decimal]:
    def convert(text: str) -> Decimal:
        number = Decimal(text)
        if not low <= number <= high:
            raise ValueError(f"not between {low} and {high}")
        return number

    return convert
