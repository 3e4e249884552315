"""The ``PGFLOW`` setting: names, defaults and units in one frozen object."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """Options of a flow that says nothing of its own."""

    max_attempts: int = 3
    """Attempts for each task, the first included."""
    base_delay: int = 5
    """Seconds; attempt n is retried after ``base_delay * 2 ** n``."""
    timeout: int = 60
    """Seconds that one attempt may take."""


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Defaults of ``runpgflowworker``; each has an option of the same name."""

    concurrency: int = 10
    """Tasks that one process executes at a time."""
    poll_interval: float = 1.0
    """Seconds between two looks at the queues while nothing happens, at most."""
    heartbeat_interval: float = 5.0
    """Seconds between two signs of life."""
    grace: float = 30.0
    """Seconds that running tasks get to end after the first SIGTERM or SIGINT."""
    sweep_interval: float = 15.0
    """Seconds between two searches for stalled tasks."""
    listen: bool = True
    """Whether to LISTEN for new work; polling remains in either case."""
    flow_concurrency: Mapping[str, int] = field(default_factory=dict)
    """Tasks that one process has in hand at a time, at most, of some flows, by slug; in place of what the flows say."""
    processes: int = 1
    """Processes of one ``runpgflowworker``."""
    max_tasks: int = 0
    """Tasks after which a process is replaced by a new one; 0 for never."""
    max_memory: int = 0
    """Megabytes of resident memory above which a process is replaced by a new one; 0 for never."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of ``PGFLOW``; every key is optional."""

    DATABASE: str = "default"
    """Alias of the database that holds the schemas ``pgflow`` and ``pgmq``."""
    DEFAULTS: Defaults = field(default_factory=Defaults)
    JSON_ENCODER: str = "django.core.serializers.json.DjangoJSONEncoder"
    """Dotted path of the ``json.JSONEncoder`` for inputs and outputs."""
    FLOW_MODULES: tuple[str, ...] = ()
    """Modules to import besides each app's ``flows``."""
    SYNC: bool = True
    """Whether ``migrate`` and the worker write the flows of the code to the database."""
    WORKER: WorkerSettings = field(default_factory=WorkerSettings)
    EXECUTORS: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Executors for ``executor=`` of steps, by name: ``{"BACKEND": dotted path, "OPTIONS": {keyword: argument}}``."""

    @property
    def json_encoder(self) -> type[Any]:
        """The class that ``JSON_ENCODER`` names."""
        return import_string(self.JSON_ENCODER)  # type: ignore[no-any-return]


OWN_EXECUTORS = ("threads", "processes")
"""Names for ``executor=`` that need no setting."""

NESTED: dict[str, type[Any]] = {"DEFAULTS": Defaults, "WORKER": WorkerSettings}


def known_keys(group: str = "") -> list[str]:
    """Return the keys of ``PGFLOW``, or of its dict ``group``."""
    return [f.name for f in fields(NESTED[group] if group else Settings)]


def raw() -> Mapping[str, Any]:
    """Return ``settings.PGFLOW`` as written; ``{}`` if it is absent."""
    return getattr(django_settings, "PGFLOW", {}) or {}


def unknown_keys() -> list[str]:
    """Return the keys of ``PGFLOW`` that mean nothing, nested ones as ``WORKER.concurency``."""
    unknown = [str(key) for key in raw() if key not in known_keys()]
    for group in NESTED:
        values = raw().get(group)
        if isinstance(values, Mapping):
            unknown += [f"{group}.{key}" for key in values if key not in known_keys(group)]
    return unknown


@functools.cache
def get() -> Settings:
    """Return the settings in force. What is wrong is passed over here; ``manage.py check`` names it."""
    values: dict[str, Any] = {key: value for key, value in raw().items() if key in known_keys()}
    for group, cls in NESTED.items():
        if not isinstance(values.get(group, {}), Mapping):
            del values[group]
        elif group in values:
            values[group] = cls(**{k: v for k, v in values[group].items() if k in known_keys(group)})
    if "FLOW_MODULES" in values:
        values["FLOW_MODULES"] = tuple(values["FLOW_MODULES"])
    return Settings(**values)


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "PGFLOW":
        get.cache_clear()


setting_changed.connect(_forget)
