"""Worker processes, started again whenever they end, as a supervisor of the operating system would."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LATE = 15.0
"""Seconds beyond its grace after which a worker that was told to end should have ended."""


@dataclass(kw_only=True)
class Place:
    """A worker process, and what is being done to it."""

    number: int
    process: subprocess.Popen[bytes]
    log: Path
    grace: float
    doomed: str = ""
    """The signal that will end it."""
    due_at: float = 0.0
    """When it should have ended after SIGTERM, or is continued after SIGSTOP; 0 while it is left alone."""

    @property
    def pid(self) -> int:
        """The process."""
        return self.process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has begun to work."""
        return "Worker started" in self.log.read_text(errors="replace")

    @property
    def is_free(self) -> bool:
        """Whether nothing is being done to it."""
        return not self.doomed and not self.due_at


class Crew:
    """As many workers as there are places.

    Args:
        folder: For their logs.
        size: How many.
        grace: Returns the seconds of grace of the next worker.
        tell: Writes a line of the diary.
    """

    def __init__(self, folder: Path, size: int, grace: Callable[[], float], tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._grace = grace
        self._tell = tell
        self._count = 0
        self._restart_at: dict[int, float] = {}
        self.unexpected: list[str] = []
        """What workers did of themselves that they should not."""
        self.refused_starts = 0
        """Workers that ended at their start because Postgres was gone."""
        self.places = [self._start(number) for number in range(size)]
        self._lock = threading.Lock()

    @property
    def logs(self) -> list[Path]:
        """The logs of all processes, in their order."""
        return sorted(self._folder.glob("worker-*.log"))

    def wait_until_ready(self, deadline: float = 60.0) -> None:
        """Wait until all work, and nothing is being done to any of them."""
        end = time.monotonic() + deadline
        while not all(place.is_free and place.is_ready and place.process.poll() is None for place in self.places):
            if time.monotonic() > end:
                raise TimeoutError(f"The workers did not start; see {self._folder}.")
            self.supervise()
            time.sleep(0.05)

    def free(self, number: int) -> Place | None:
        """Return the place of this number, or the next one whose worker works and is left alone at the moment."""
        for place in [*self.places[number:], *self.places[:number]]:
            if place.is_free and place.process.poll() is None and place.is_ready:
                return place
        return None

    def kill(self, place: Place) -> None:
        """Kill a worker and start another at once."""
        place.doomed = "SIGKILL"
        place.process.kill()
        place.process.wait()
        self.places[place.number] = self._start(place.number)

    def terminate(self, place: Place) -> None:
        """Tell a worker to end; another is started when it has."""
        place.doomed = "SIGTERM"
        place.due_at = time.monotonic() + place.grace + LATE
        place.process.terminate()

    def stop(self, place: Place, seconds: float) -> None:
        """Stop a worker for a time, without its knowing."""
        place.due_at = time.monotonic() + seconds
        place.process.send_signal(signal.SIGSTOP)

    def supervise(self) -> None:
        """Continue those whose time is over, and start those that ended again. To be called all the time."""
        for place in self.places:
            code = place.process.poll()
            if code is not None:
                self._ended(place, code)
            elif place.due_at and time.monotonic() > place.due_at:
                place.due_at = 0.0
                if place.doomed:
                    self._note(f"worker {place.pid} did not end within {LATE:g} s after its grace")
                    place.doomed = "SIGKILL"
                    place.process.kill()
                else:
                    self._tell(f"SIGCONT worker {place.pid}")
                    place.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End all workers; they are idle."""
        for place in self.places:
            if place.process.poll() is None:
                place.process.send_signal(signal.SIGCONT)
                place.process.terminate()
        for place in self.places:
            with contextlib.suppress(subprocess.TimeoutExpired):
                if place.process.wait(place.grace + LATE) != 0:
                    self._note(f"worker {place.pid} ended with code {place.process.returncode} when idle")
                continue
            self._note(f"worker {place.pid} did not end at the end")
            place.process.kill()
            place.process.wait()

    def _ended(self, place: Place, code: int) -> None:
        expected = {"SIGKILL": (-signal.SIGKILL,), "SIGTERM": (0, 1)}.get(place.doomed, ())
        if code not in expected:
            if self._restart_at.setdefault(place.number, time.monotonic() + 1.0) > time.monotonic():
                return  # a supervisor waits a moment before it starts again what failed
            if "cannot be used" in place.log.read_text():
                self.refused_starts += 1
            else:
                self._note(f"worker {place.pid} ended by itself with code {code}, see {place.log.name}")
        elif code:
            self._tell(f"worker {place.pid} ended with code {code}")
        self._restart_at.pop(place.number, None)
        self.places[place.number] = self._start(place.number)

    def _note(self, what: str) -> None:
        self._tell(f"UNEXPECTED: {what}")
        self.unexpected.append(what)

    def _start(self, number: int) -> Place:
        self._count += 1
        log = self._folder / f"worker-{self._count:04}.log"
        grace = self._grace()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "django", "runpgflowworker", "--grace", f"{grace:.1f}"],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return Place(number=number, process=process, log=log, grace=grace)
