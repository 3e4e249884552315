"""What a type checker sees of the decorators."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

CODE = """
from typing import assert_type
from django_pgflow import Flow, Step

flow = Flow("f", max_attempts=3, timeout=60)

@flow.step
def load(flow_input: dict[str, int], limit: int = 3) -> str:
    return ""

@flow.array(timeout=5, depends_on=[load, "load"])
def numbers(load: str) -> list[int]:
    return []

@flow.map(over=numbers)
async def square(number: int) -> int:
    return number * number

assert_type(load({"a": 1}, limit=2), str)
assert_type(numbers(""), list[int])
async def main() -> None:
    assert_type(await square(1), int)
assert_type(flow.step(load.func, slug="again")({}), str)
assert_type(load.slug, str)

load(1)  # E: arg-type
numbers(loads="")  # E: call-arg
Flow("f", timout=3)  # E: call-arg
flow.step(timout=3)  # E: call-overload
flow.step(over=numbers)  # E: call-overload
"""


@pytest.mark.timeout(300)
def test_decorators_keep_the_signature_and_options_are_checked(tmp_path: Path) -> None:
    module = tmp_path / "typed_flows.py"
    module.write_text(CODE)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-error-summary",
         "--cache-dir", str(tmp_path / "cache"), "--config-file=", str(module)],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    expected = {
        number: line.rpartition("# E: ")[2] for number, line in enumerate(CODE.splitlines(), 1) if "# E: " in line
    }
    found = {
        int(line.split(":")[1]): line.rpartition("[")[2].rstrip("]")
        for line in done.stdout.splitlines()
        if ": error: " in line
    }
    assert found == expected, done.stdout + done.stderr
