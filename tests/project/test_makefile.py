"""The Makefile on machines that lack something."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with nothing but the Makefile and pyproject.toml."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=project, capture_output=True, text=True, timeout=60
    )


def python(project: Path, *, version: str, missing: str = "", failing: str = "") -> str:
    """Write a script that answers as a Python of that version would."""
    path = project / "python-of-old"
    path.write_text(
        f"""#!/bin/sh
case "$*" in
  -V) echo "Python {version}" ;;
  *version_info*) [ "{version}" = "3.12.0" ] ;;
  *"import venv"*) [ -z "{missing}" ] ;;
  *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *"-m pip"*) [ -z "{failing}" ] || {{ echo "{failing}" >&2; exit 1; }} ;;
esac
""",
        encoding="utf-8",
    )
    path.chmod(0o755)
    return f"PYTHON={path}"


def test_help_lists_the_targets(project: Path) -> None:
    help = make(project, "help")
    assert help.returncode == 0
    for target in [
        "demo",
        "demo-once",
        "demo-clean",
        "test",
        "test-16",
        "test-deep",
        "test-matrix",
        "lint",
        "types",
        "package",
        "ready",
        "bench",
        "bench-peers",
        "bench-sql",
        "bench-profile",
        "screenshots",
    ]:
        assert f"  make {target} " in help.stdout


def test_no_python_is_told(project: Path) -> None:
    done = make(project, "demo", "PYTHON=python-that-is-not-there")
    assert done.returncode != 0
    assert "There is no python-that-is-not-there. Install Python 3.11 or later" in done.stderr


def test_an_old_python_is_told(project: Path) -> None:
    done = make(project, "demo", python(project, version="3.9.2"))
    assert done.returncode != 0
    assert "is Python 3.9.2. Python 3.11 or later is needed" in done.stderr


def test_a_missing_venv_module_is_told(project: Path) -> None:
    done = make(project, "demo", python(project, version="3.12.0", missing="ensurepip"))
    assert done.returncode != 0
    assert "apt install python3-venv" in done.stderr


def test_a_missing_compiler_is_told_and_the_installation_is_tried_again(project: Path) -> None:
    broken = python(project, version="3.12.0", failing="error: command 'gcc' failed: No such file or directory")
    for _ in range(2):
        done = make(project, "demo", broken)
        assert done.returncode != 0
        assert "command 'gcc' failed" in done.stderr
        assert "apt install build-essential" in done.stderr


def test_a_second_run_skips_the_installation(project: Path) -> None:
    fake = python(project, version="3.12.0")
    assert "Installing" in make(project, "demo", fake).stdout
    assert "Installing" not in make(project, "demo", fake).stdout
