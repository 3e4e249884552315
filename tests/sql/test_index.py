"""``README.md`` names a test for each line of the contract's list; all of them exist."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
ROW = re.compile(r"^\| (?!Behaviour|#|-)(.+) \| (.*) \|$", re.MULTILINE)
REFERENCE = re.compile(r"`(\w+)` (test_\w+)")
README = (FOLDER / "README.md").read_text()


def named_in(folder: str) -> set[str]:
    return {
        name
        for path in (FOLDER / folder).glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }


def test_every_test_that_is_named_exists() -> None:
    references = REFERENCE.findall(README)
    assert len(references) > 200
    assert [(folder, name) for folder, name in references if name not in named_in(folder)] == []


def test_every_line_names_a_test() -> None:
    rows = ROW.findall(README)
    assert len(rows) > 200
    assert [text for text, shown_by in rows if not REFERENCE.search(shown_by) and shown_by != "-"] == []
