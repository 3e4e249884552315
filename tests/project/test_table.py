"""Validation of the table of penguins."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from example_project.penguins import table

GOOD = {
    "line": 2,
    "Individual ID": "N1A1",
    "Date Egg": "2007-11-11",
    "Species": "Gentoo penguin (Pygoscelis papua)",
    "Island": "Biscoe",
    "Sex": "MALE",
    "Culmen Length (mm)": "39.1",
    "Culmen Depth (mm)": "18.7",
    "Flipper Length (mm)": "181",
    "Body Mass (g)": "3750",
    "Comments": "NA",
}


def test_a_good_row_becomes_values() -> None:
    values, problems = table.validate(GOOD)
    assert problems == []
    assert values["egg_laid_on"] == date(2007, 11, 11)
    assert values["bill_length_mm"] == Decimal("39.1")
    assert (values["species"], values["sex"]) == ("Gentoo penguin", "male")
    assert table.comment(GOOD) == ""


@pytest.mark.parametrize(
    ("column", "text", "problem"),
    [
        ("Sex", "NA", "Sex is missing"),
        ("Sex", "BOTH", "Sex is 'BOTH': neither female nor male"),
        ("Body Mass (g)", "3.750,0", "Body Mass (g) is '3.750,0'"),
        ("Body Mass (g)", "12", "Body Mass (g) is '12': not between 1000 and 10000"),
        ("Date Egg", "11/11/07", "Date Egg is '11/11/07'"),
        ("Island", "", "Island is missing"),
    ],
)
def test_a_bad_value_is_named(column: str, text: str, problem: str) -> None:
    _, problems = table.validate({**GOOD, column: text})
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_the_shipped_file_has_344_rows_of_which_11_are_bad() -> None:
    rows: list[dict[str, Any]] = table.read("penguins_raw.csv")
    results = [table.validate(row) for row in rows]
    assert len(rows) == 344
    assert sum(bool(problems) for _, problems in results) == 11
    keys = {(v["individual"], v["egg_laid_on"], v["species"]) for v, problems in results if not problems}
    assert len(keys) == 333


def test_no_file_outside_the_folder_is_read() -> None:
    with pytest.raises(FileNotFoundError):
        table.read("../../settings.py")
