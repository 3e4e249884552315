"""A supervisor of real processes, which are small programs instead of workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PREAMBLE = """
import os, signal, socket, sys, time
line = socket.socket(fileno=int(os.environ["DJANGO_PGFLOW_SUPERVISOR"]))
place = sys.argv[1]

def count():
    # How many processes have begun so far, this one included.
    with open(place, "ab", buffering=0) as file:
        file.write(b"x")
        return file.tell()  # the end of what this process wrote; another may have written since

def say(text):
    os.write(1, text.encode() + bytes([10]))  # whole lines: others write to the same file

def receive():
    try:
        return line.recv(1)
    except ConnectionResetError:  # the other end was closed with news unread
        return b""
"""

RUN = """
import logging, sys
from django_pgflow.worker import supervisor
logging.basicConfig(level=logging.INFO, format="%(message)s")
supervisor.MARGIN, supervisor.LONGEST_PAUSE, supervisor.SHORTEST_PAUSE = 1.0, 0.05, 0.02
program, place, processes, grace, until_idle = sys.argv[1:]
sys.exit(supervisor.Supervisor(
    [sys.executable, "-c", program, place],
    processes=int(processes), grace=float(grace), until_idle=until_idle == "True",
).run())
"""

DEADLINE = 30.0


class Supervised:
    """A supervisor in a process of its own, and what it logs."""

    def __init__(self, program: str, folder: Path, *, processes: int, grace: float, until_idle: bool) -> None:
        self._log = folder / "log"
        arguments = [PREAMBLE + textwrap.dedent(program), str(folder / "count"), processes, grace, until_idle]
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN, *map(str, arguments)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def pids(self) -> list[int]:
        return [int(pid) for pid in re.findall(r"process started pid=(\d+)", self.log)]

    def wait_for(self, text: str, count: int = 1) -> None:
        end = time.monotonic() + DEADLINE
        while self.log.count(text) < count:
            if time.monotonic() > end or self.process.poll() is not None:
                pytest.fail(f"{text!r} was not written {count} times:\n{self.log}")
            time.sleep(0.02)

    def wait(self) -> int:
        return self.process.wait(DEADLINE)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    started: list[Supervised] = []

    def start(program: str, *, processes: int = 1, grace: float = 0.2, until_idle: bool = False) -> Supervised:
        started.append(Supervised(program, tmp_path, processes=processes, grace=grace, until_idle=until_idle))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


SERVES = """
line.send(b"r")
say("begun")
while order := receive():
    say("order " + str(order))
    if order == b"u" or {first}:
        sys.exit({code})
say("alone")
"""


def test_it_keeps_so_many_processes(supervise):
    one = supervise(SERVES.format(first=True, code=0), processes=3)
    one.wait_for("begun", 3)
    os.kill(one.pids()[0], signal.SIGKILL)
    one.wait_for("signal=SIGKILL")
    one.wait_for("begun", 4)
    one.process.terminate()
    assert one.wait() == 0
    assert one.log.count("code=0 seconds=") == 3


def test_the_largest_code_is_the_supervisors(supervise):
    one = supervise("code = count()" + SERVES.format(first=True, code="code"), processes=3)
    one.wait_for("begun", 3)
    one.process.send_signal(signal.SIGINT)
    assert one.wait() == 3


def test_the_second_signal_is_passed_on(supervise):
    one = supervise(SERVES.format(first=False, code=0), processes=2, grace=60)
    one.wait_for("begun", 2)
    one.process.terminate()
    one.wait_for("order b's'", 2)
    one.process.terminate()
    assert one.wait() == 0
    assert one.log.count("order b'u'") == 2, one.log


def test_who_does_not_obey_is_told_to_hurry_and_killed(supervise):
    one = supervise('line.send(b"r"); say("begun")\nwhile True: say(str(line.recv(1)))')
    one.wait_for("begun")
    one.process.terminate()
    assert one.wait() == 128 + signal.SIGKILL
    assert re.search(r"b's'\n(.*\n)*b'u'\n(.*\n)*.*did not end in time and was killed", one.log)


def test_processes_end_when_the_supervisor_is_killed(supervise):
    one = supervise(SERVES.format(first=True, code=0), processes=2)
    one.wait_for("begun", 2)
    one.process.kill()
    one.wait()
    end = time.monotonic() + DEADLINE
    while one.log.count("alone") < 2:
        assert time.monotonic() < end, one.log
        time.sleep(0.02)


def test_when_no_process_ever_starts_it_gives_up_at_once(supervise):
    one = supervise("count(); sys.exit(7)", processes=3)
    assert one.wait() == 7
    assert "Supervisor gave up: no worker process starts" in one.log
    assert 3 <= len(one.pids()) <= 6


def test_when_no_process_starts_any_more_it_gives_up_after_ten(supervise):
    one = supervise('if count() > 1: sys.exit(7)\nline.send(b"r")')
    assert one.wait() == 7
    assert len(one.pids()) == 11
    assert "tries=10 code=7" in one.log


def test_one_that_works_keeps_it_from_giving_up(supervise):
    one = supervise("if count() > 1: sys.exit(7)" + SERVES.format(first=True, code=0), processes=2)
    one.wait_for("code=7", 15)
    one.process.terminate()
    assert one.wait() == 0


def test_one_that_dies_while_starting_counts_as_nothing_when_all_are_to_end(supervise):
    one = supervise("say('begun'); line.recv(1); sys.exit(3)")
    one.wait_for("begun")
    one.process.terminate()
    assert one.wait() == 0


def test_who_reached_a_limit_gets_a_successor_even_until_idle(supervise):
    one = supervise('line.send(b"rl" if count() < 4 else b"r")', until_idle=True)
    assert one.wait() == 0
    assert len(one.pids()) == 4


def test_until_idle_replaces_those_that_die(supervise):
    one = supervise('line.send(b"r"); os.kill(os.getpid(), 9) if count() == 1 else 0', processes=2, until_idle=True)
    assert one.wait() == 0
    assert len(one.pids()) == 3


def test_a_command_that_is_not_there(tmp_path):
    script = RUN.replace("[sys.executable, ", "['/no/such/python', ")
    ended = subprocess.run(
        [sys.executable, "-c", script, "", "", "2", "1", "False"],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert ended.returncode == 1
    assert "could not be started: [Errno 2]" in ended.stderr
