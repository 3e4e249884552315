"""Options of flows and steps: attempts and durations, as the database keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django_pgflow import conf, exceptions
from django_pgflow.dsl import slugs

Seconds = int | timedelta

LEAST = {"max_attempts": 1, "base_delay": 0, "timeout": 3, "start_delay": 0}
COUNTS = ("max_attempts", "worker_concurrency", "concurrency_limit")
"""What is not measured in seconds."""
MOST = 1_000_000_000
"""Thirty years; the database has 32 bits for each option."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a flow or a step; durations in seconds.

    Attributes:
        max_attempts: Tries of each task, the first included.
        base_delay: Attempt n is followed by the next after ``base_delay * 2 ** n``.
        timeout: What one attempt may take.
        start_delay: Between the moment a step becomes ready and its first attempt; of steps only.

    None: the step does as its flow, the flow as ``PGFLOW["DEFAULTS"]``.
    """

    max_attempts: int | None = None
    base_delay: int | None = None
    timeout: int | None = None
    start_delay: int | None = None

    def with_defaults(self) -> Options:
        """Return the options of a flow with the project's defaults filled in. Reads the settings."""
        defaults = conf.get().DEFAULTS
        return Options(
            max_attempts=defaults.max_attempts if self.max_attempts is None else self.max_attempts,
            base_delay=defaults.base_delay if self.base_delay is None else self.base_delay,
            timeout=defaults.timeout if self.timeout is None else self.timeout,
        )


def read(values: Mapping[str, Any], *, owner: str, location: str) -> Options:
    """Make options of what a flows.py says.

    Args:
        values: Any of the four, ints or, for durations, ``timedelta``.
        owner: For the message: ``"step 'load'"``.
        location: ``"file:line"`` of the declaration.

    Raises:
        FlowDefinitionError: E012, an option is out of range or not whole seconds.
    """
    return Options(**{name: _read(name, value, owner, location) for name, value in values.items()})


def read_count(name: str, value: Any, *, owner: str, location: str) -> int | None:
    """Return a whole number from 1 on, or None for none.

    Raises:
        FlowDefinitionError: E012, it is something else.
    """
    return _read(name, value, owner, location)


def refuse_unknown(names: Iterable[str], known: Iterable[str], *, owner: str, location: str) -> None:
    """Raise FlowDefinitionError for the first name that is no option."""
    known = list(known)
    for name in names:
        if name not in known:
            raise exceptions.FlowDefinitionError(
                f"{owner} has no option {name!r}.{slugs.did_you_mean(name, known)} Options: {', '.join(known)}.",
                location=location,
                check_id="pgflow.E012",
            )


def _read(name: str, value: Any, owner: str, location: str) -> int | None:
    if value is None:
        return None
    least = LEAST.get(name, 1)
    unit = "" if name in COUNTS else " seconds"
    problem = ""
    number = value
    if isinstance(value, timedelta) and unit:
        number, rest = divmod(value, timedelta(seconds=1))
        if rest:
            problem = "has a fraction of a second"
    elif not isinstance(value, int) or isinstance(value, bool):
        problem = "is no whole number" + (" of seconds, nor a timedelta" if unit else "")
    if not problem and number < least:
        problem = "is too small"
    if not problem and number > MOST:
        problem = "is too large"
    if problem:
        raise exceptions.FlowDefinitionError(
            f"{name}={value!r} of {owner} {problem}. Give a whole number from {least} to {MOST}{unit}"
            + (", or a timedelta." if unit else "."),
            location=location,
            check_id="pgflow.E012",
        )
    return int(number)
