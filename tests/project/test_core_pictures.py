"""The pictures of the SQL core show the SQL of today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_pictures_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "docs.draw_core", "--check"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
