"""The package can be imported anywhere, and shows its names."""

from __future__ import annotations

import subprocess
import sys

import django_pgflow


def test_every_public_name_is_there() -> None:
    assert [name for name in django_pgflow.__all__ if not hasattr(django_pgflow, name)] == []


def test_import_needs_neither_settings_nor_apps() -> None:
    code = "import django_pgflow; print(django_pgflow.Flow('a'))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": "."},
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("<Flow a>\n", "")
