"""The demo as a newcomer starts it: a process in a terminal, with its children."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 90.0

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]


def until(condition: Callable[[], bool], what: str, *, seconds: float = SECONDS) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds: {what}"
        time.sleep(0.05)


class RunningDemo:
    """A demo in a process of its own, with its output in a file."""

    def __init__(self, state: Path, *arguments: str) -> None:
        self.state = state
        state.parent.mkdir(parents=True, exist_ok=True)
        self.output = state.parent / f"{state.name}-output-{time.monotonic_ns()}.txt"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "DATABASE"))}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "example_project.demo", "--state", str(state), *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.text or self.process.poll() is not None, f"{text!r} in:\n{self.text}")
        assert text in self.text, f"The demo ended with {self.process.returncode}:\n{self.text}"

    def wait(self) -> int:
        return self.process.wait(SECONDS)

    def children(self) -> dict[str, psutil.Process]:
        """Return the processes that it started, by the command of manage.py, and PostgreSQL."""
        found = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            for name in ("runserver", "runpgflowworker"):
                if name in child.cmdline():
                    found[name] = child
        pid = int((self.state / "postgres" / "postmaster.pid").read_text().split()[0])
        return {**found, "postgres": psutil.Process(pid)}


@pytest.fixture
def start() -> Iterator[Callable[..., RunningDemo]]:
    """Start demos that are stopped at the end of the test, whatever happens."""
    demos: list[RunningDemo] = []

    def start(state: Path, *arguments: str) -> RunningDemo:
        demos.append(RunningDemo(state, *arguments))
        return demos[-1]

    yield start
    for demo in demos:
        if demo.process.poll() is None:
            demo.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                demo.process.wait(40)
        if demo.process.poll() is None:
            demo.process.kill()


def test_demo_once_runs_all_examples_to_the_end_they_should_have(
    tmp_path: Path, start: Callable[..., RunningDemo]
) -> None:
    demo = start(tmp_path / "demo", "--once", "--port", "0")
    assert demo.wait() == 0, demo.text
    for line in [
        r"analyze_website \w{8} completed: Christmas Morning .*: 241 words, mood \+0\.\d\d\n +\S",
        r"import_penguins \w{8} completed: 333 rows imported, 11 rejected, 3 islands located in [4-9] attempts, 5",
        r"publish_digest \w{8} failed: the step approval failed, as it should",
        r"publish_digest \w{8} completed: after approval and retry, 'Digest 1' is published with 9 entries",
    ]:
        assert re.search(line, demo.text), f"no line like {line} in:\n{demo.text}"
    assert demo.text.endswith("All runs ended as they should.\n")
    assert not (tmp_path / "demo" / "postgres" / "postmaster.pid").exists()


def test_demo_stays_until_a_signal_and_then_leaves_no_process(
    tmp_path: Path, start: Callable[..., RunningDemo]
) -> None:
    first = start(tmp_path / "demo", "--port", "0")
    first.wait_for("Ctrl-C stops everything")
    children = first.children()
    assert set(children) == {"runserver", "runpgflowworker", "postgres"}
    second = start(tmp_path / "demo", "--port", "0")
    assert second.wait() == 1
    assert f"A demo is running already in {tmp_path / 'demo'} (process {first.process.pid}" in second.text
    first.process.send_signal(signal.SIGINT)
    assert first.wait() == 0
    until(lambda: not any(child.is_running() for child in children.values()), "all children are gone", seconds=5)

    login = re.search(r"user admin   password \S+", first.text)
    assert login
    assert ((tmp_path / "demo" / "admin-password").stat().st_mode & 0o777) == 0o600
    again = start(tmp_path / "demo", "--port", "0")
    again.wait_for(login[0])
    children = again.children()
    again.process.send_signal(signal.SIGTERM)
    assert again.wait() == 0
    until(lambda: not any(child.is_running() for child in children.values()), "all children are gone", seconds=5)


@pytest.mark.parametrize(
    ("victim", "message"),
    [
        ("runpgflowworker", "The worker was killed by SIGKILL"),
        ("runserver", "The web server was killed by SIGKILL"),
        ("postgres", "The database failed"),
    ],
)
def test_demo_says_which_child_died_and_stops(
    victim: str, message: str, tmp_path: Path, start: Callable[..., RunningDemo]
) -> None:
    demo = start(tmp_path / "demo", "--port", "0")
    demo.wait_for("analyze_website")
    children = demo.children()
    children[victim].kill()
    assert demo.wait() == 1
    assert message in demo.text
    assert "Traceback" not in demo.text.split("The last lines of")[0]
    until(lambda: not any(child.is_running() for child in children.values()), "all children are gone", seconds=5)


def test_a_signal_while_it_starts_stops_it_and_is_no_success_of_demo_once(
    tmp_path: Path, start: Callable[..., RunningDemo]
) -> None:
    demo = start(tmp_path / "demo", "--once", "--port", "0")
    demo.wait_for("Migrating")
    demo.process.send_signal(signal.SIGINT)
    assert demo.wait() == 128 + signal.SIGINT
    assert demo.text.endswith("Stopped. The data are kept; the next start takes seconds.\n")
    assert not (tmp_path / "demo" / "postgres" / "postmaster.pid").exists()


def test_a_taken_port_is_named(tmp_path: Path, start: Callable[..., RunningDemo]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = start(tmp_path / "demo", "--port", str(port))
        assert demo.wait() == 1
    assert demo.text.startswith(f"\nThe web server cannot use port {port}: address already in use.")
    assert "Traceback" not in demo.text


def test_a_folder_with_a_space_is_refused_with_an_explanation(
    tmp_path: Path, start: Callable[..., RunningDemo]
) -> None:
    demo = start(tmp_path / "My Project" / "demo", "--port", "0")
    assert demo.wait() == 1
    assert "contains a space" in demo.text
    assert "Traceback" not in demo.text
