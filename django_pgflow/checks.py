"""System checks, tag ``pgflow``. Mistakes within one declaration are raised at import, by ``dsl``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from django.apps.config import AppConfig
from django.conf import settings as django_settings
from django.core import checks
from django.db import connections
from django.utils.module_loading import import_string

from django_pgflow import conf, exceptions, registry
from django_pgflow.dsl import conditions, options, slugs
from django_pgflow.dsl.definition import FlowDefinition
from django_pgflow.dsl.steps import MapStep

TAG = "pgflow"


def register() -> None:
    """Register the checks with Django."""
    checks.register(check_settings, TAG)
    checks.register(check_flows, TAG)


def check_settings(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check ``PGFLOW``: E020 for a key that means nothing, E021 for a value that cannot be."""
    return list(_settings())


def check_flows(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check what of the flows needs the whole module, or the settings: E018, E022, W021, W024, W025."""
    return [message for flow in registry.all_flows().values() for message in _flow(flow)]


def _settings() -> Iterator[checks.CheckMessage]:
    written = getattr(django_settings, "PGFLOW", {})
    if not isinstance(written, Mapping):
        yield checks.Error(f"PGFLOW is {written!r}, not a dict.", id="pgflow.E021")
        return
    for group in conf.NESTED:
        if not isinstance(written.get(group, {}), Mapping):
            yield checks.Error(f"PGFLOW[{group!r}] is {written[group]!r}, not a dict.", id="pgflow.E021")
            return
    for key in conf.unknown_keys():
        group, _, name = key.rpartition(".")
        choices = conf.known_keys(group)
        yield checks.Error(
            f"PGFLOW has an unknown key {key!r}.{slugs.did_you_mean(name, choices)}",
            hint=f"Keys{f' of {group}' if group else ''}: {', '.join(choices)}.",
            id="pgflow.E020",
        )
    yield from _defaults(written.get("DEFAULTS", {}))
    yield from _worker(written.get("WORKER", {}))
    yield from _executors(written.get("EXECUTORS", {}))
    yield from _names(conf.get())


def _defaults(written: Mapping[str, Any]) -> Iterator[checks.CheckMessage]:
    known = {key: value for key, value in written.items() if key in conf.known_keys("DEFAULTS")}
    for key, value in known.items():
        try:
            # A timedelta is for flows.py; the setting is sent to the database as it stands.
            options.read({key: repr(value) if not isinstance(value, int) else value}, owner="PGFLOW", location="")
        except exceptions.FlowDefinitionError:
            yield checks.Error(
                f"PGFLOW['DEFAULTS'][{key!r}] is {value!r}.",
                hint=f"Give a whole number from {options.LEAST[key]} to {options.MOST}.",
                id="pgflow.E021",
            )


def _worker(written: Mapping[str, Any]) -> Iterator[checks.CheckMessage]:
    for option in fields(conf.WorkerSettings):
        if option.name == "flow_concurrency":
            yield from _flow_concurrency(written.get(option.name, {}))
            continue
        value = written.get(option.name, option.default)
        if isinstance(option.default, bool):
            right = isinstance(value, bool)
            wanted = "True or False"
        else:
            whole = isinstance(option.default, int)
            number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
            # Nothing is a good grace, and no limit; for the others it would be a standstill or a busy loop.
            right = number and (value > 0 or (value == 0 and option.name in ("grace", "max_tasks", "max_memory")))
            wanted = f"{'a whole number' if whole else 'seconds'} greater than 0"
        if not right:
            yield checks.Error(
                f"PGFLOW['WORKER'][{option.name!r}] is {value!r}.", hint=f"Give {wanted}.", id="pgflow.E021"
            )


def _flow_concurrency(written: Any) -> Iterator[checks.CheckMessage]:
    where = "PGFLOW['WORKER']['flow_concurrency']"
    if not isinstance(written, Mapping):
        yield checks.Error(f"{where} is {written!r}, not a dict.", id="pgflow.E021")
        return
    flows = registry.all_flows()
    for slug, count in written.items():
        if slug not in flows:
            yield checks.Error(
                f"{where}: there is no flow {slug!r}.{slugs.did_you_mean(str(slug), flows)}", id="pgflow.E021"
            )
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            yield checks.Error(
                f"{where}[{slug!r}] is {count!r}.", hint="Give a whole number greater than 0.", id="pgflow.E021"
            )


def _executors(written: Any) -> Iterator[checks.CheckMessage]:
    if not isinstance(written, Mapping):
        yield checks.Error(f"PGFLOW['EXECUTORS'] is {written!r}, not a dict.", id="pgflow.E021")
        return
    for name, executor in written.items():
        where = f"PGFLOW['EXECUTORS'][{name!r}]"
        if name in conf.OWN_EXECUTORS:
            yield checks.Error(f"{where}: this name has a meaning already.", hint="Choose another.", id="pgflow.E021")
        elif (
            not isinstance(executor, Mapping)
            or not {"BACKEND"} <= set(executor) <= {"BACKEND", "OPTIONS"}
            or not isinstance(executor["BACKEND"], str)
            or not isinstance(executor.get("OPTIONS", {}), Mapping)
        ):
            yield checks.Error(
                f"{where} is {executor!r}.",
                hint='Give {"BACKEND": "dotted.path.of.a.class", "OPTIONS": {...}}; OPTIONS, its keyword '
                "arguments, may be left out.",
                id="pgflow.E021",
            )
        else:
            try:
                import_string(executor["BACKEND"])
            except ImportError as error:
                yield checks.Error(f"{where}['BACKEND'] cannot be imported: {error}", id="pgflow.E021")


def _names(settings: conf.Settings) -> Iterator[checks.CheckMessage]:
    if settings.DATABASE not in connections:
        yield checks.Error(
            f"PGFLOW['DATABASE'] is {settings.DATABASE!r}, which is not in DATABASES."
            f"{slugs.did_you_mean(settings.DATABASE, connections)}",
            id="pgflow.E021",
        )
    elif connections[settings.DATABASE].vendor != "postgresql":
        yield checks.Error(
            f"The database {settings.DATABASE!r} is {connections[settings.DATABASE].vendor}, not PostgreSQL.",
            hint="Set PGFLOW['DATABASE'] to the alias of a PostgreSQL database.",
            id="pgflow.E021",
        )
    try:
        import_string(settings.JSON_ENCODER)
    except ImportError as error:
        yield checks.Error(f"PGFLOW['JSON_ENCODER'] cannot be imported: {error}", id="pgflow.E021")


def _flow(flow: FlowDefinition) -> Iterator[checks.CheckMessage]:
    if not flow.steps:
        yield checks.Warning(f"{flow.location}: the flow {flow.slug!r} has no steps.", obj=flow, id="pgflow.W025")
    skippable = conditions.skippable(flow.steps)
    for step in flow.steps.values():
        for argument in step.signature.arguments:
            if (
                argument.source == "dep"
                and argument.name in skippable - step.conditions.needed
                and not argument.has_default
            ):
                yield checks.Warning(
                    f"{step.location}: the step {argument.name!r} may be skipped, and then the handler of "
                    f"{step.slug!r} cannot be called.",
                    hint=f"Give the parameter a default value, {argument.name}=None, or the step a condition, "
                    f"only_if=completed({argument.name!r}).",
                    obj=flow,
                    id="pgflow.W021",
                )
        executors = [*conf.OWN_EXECUTORS, *conf.get().EXECUTORS]
        if step.executor is not None and step.executor not in executors:
            yield checks.Error(
                f"{step.location}: executor={step.executor!r} of step {step.slug!r} is no executor."
                f"{slugs.did_you_mean(step.executor, executors)}",
                hint=f"Executors: {', '.join(executors)}. More can be named in PGFLOW['EXECUTORS'].",
                obj=flow,
                id="pgflow.E022",
            )
        if "<locals>" in inspect.unwrap(step.func).__qualname__:
            yield checks.Error(
                f"{step.location}: the handler of step {step.slug!r} is a function inside a function.",
                hint="Declare it in the module, so that every process finds it under the same name.",
                obj=flow,
                id="pgflow.E018",
            )
        if isinstance(step, MapStep) and step.is_root:
            element = next(a.name for a in step.signature.arguments if a.source == "item")
            if element in flow.steps:
                yield checks.Warning(
                    f"{step.location}: the map {step.slug!r} calls its element {element!r}, as a step is called, "
                    "but maps over the flow's input.",
                    hint=f"To map over that step, write @flow.map(over={element!r}); else rename the parameter.",
                    obj=flow,
                    id="pgflow.W024",
                )
