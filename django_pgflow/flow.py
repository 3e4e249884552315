"""A flow that is registered and can start: the definition joined to the client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from uuid import UUID

from asgiref.sync import sync_to_async

from django_pgflow import client, conf, exceptions, registry
from django_pgflow.dsl import codec
from django_pgflow.dsl.definition import FlowDefinition, FlowOptions

if TYPE_CHECKING:
    # At run time only inside functions: this module is imported before Django's apps are ready.
    from django.db.models import QuerySet

    from django_pgflow import models


class StartOptions(TypedDict, total=False):
    """What ``Flow.using`` takes.

    Attributes:
        key: Start once only: a second start with the same key gets the run that exists, and ``run.created`` is False.
            The id of the run is made of flow and key, so this holds for as long as the run is kept.
        run_id: The run's id, instead of a key; an id that is taken is an error.
        delay: Seconds, or a ``timedelta``, before a worker may begin.
        at: The time, an aware ``datetime``, before which none may begin; instead of a delay.
        meta: A dict to be kept with the run, in ``run.details.meta``: who started it, for whom.
    """

    key: str | None
    run_id: UUID | None
    delay: float | timedelta | None
    at: datetime | None
    meta: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Starter:
    """Starts a flow as told by ``Flow.using``. The attributes are those of StartOptions."""

    flow: Flow
    key: str | None = None
    run_id: UUID | None = None
    delay: float | timedelta | None = None
    at: datetime | None = None
    meta: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.key is not None and (not isinstance(self.key, str) or not self.key):
            raise TypeError(f"key= is a text that is not empty, not {self.key!r}.")
        if self.run_id is not None and not isinstance(self.run_id, UUID):
            raise TypeError(f"run_id= is a uuid.UUID, not {self.run_id!r}.")
        if self.key is not None and self.run_id is not None:
            raise TypeError("Give key= or run_id=, not both: the id of a run with a key is made of the key.")
        if self.delay is not None and self.at is not None:
            raise TypeError("Give delay= or at=, not both.")
        if self.delay is not None and (isinstance(self.delay, bool) or not isinstance(self.delay, _DELAYS)):
            raise TypeError(f"delay= is seconds or a timedelta, not {self.delay!r}.")
        if self._seconds is not None and not 0 <= self._seconds <= _LONGEST:
            raise ValueError(f"delay= is from 0 to {_LONGEST} seconds, not {self.delay!r}.")
        if self.at is not None and (not isinstance(self.at, datetime) or self.at.utcoffset() is None):
            raise TypeError(f"at= is an aware datetime, not {self.at!r}.")
        if self.meta is not None and not isinstance(self.meta, Mapping):
            raise TypeError(f"meta= is a dict, not {self.meta!r}.")

    def using(self, **options: Unpack[StartOptions]) -> Starter:
        """Return a copy that starts with these options, too."""
        return replace(self, **options)

    def start(self, /, *args: Any, **kwargs: Any) -> models.Run:
        """Start a run as ``Flow.start`` does.

        Raises:
            FlowNotInstalled, InvalidInput, NotSerializable: As ``Flow.start`` does.
            RunExists: There is a run with this ``run_id``.
        """
        if self.key is None and self.run_id is None:
            return self.bulk_start([self.flow.input_of(args, kwargs)])[0]
        from django_pgflow import models

        using = conf.get().DATABASE
        record = client.start_one(
            self.flow.slug,
            self.flow.encode_input(self.flow.input_of(args, kwargs)),
            key=self.key,
            run_id=self.run_id,
            delay=self._seconds,
            at=self.at,
            meta=self._meta,
            using=using,
        )
        return models.Run.from_record(record, using, created=record.created)

    async def astart(self, /, *args: Any, **kwargs: Any) -> models.Run:
        """Do as ``start`` does, from a coroutine."""
        return await sync_to_async(lambda: self.start(*args, **kwargs), thread_sensitive=True)()

    def bulk_start(self, inputs: Iterable[Any]) -> list[models.Run]:
        """Start a run for each input, as ``Flow.bulk_start`` does.

        Raises:
            TypeError: There is a key or a run_id, which belongs to one run.
            FlowNotInstalled, InvalidInput, NotSerializable: As ``start`` does; then nothing was started.
        """
        if self.key is not None or self.run_id is not None:
            raise TypeError("key= and run_id= belong to one run: use start(), not bulk_start().")
        from django_pgflow import models

        using = conf.get().DATABASE
        records = client.start(
            self.flow.slug,
            [self.flow.encode_input(value) for value in inputs],
            delay=self._seconds,
            at=self.at,
            meta=self._meta,
            using=using,
        )
        return [models.Run.from_record(record, using, created=True) for record in records]

    async def abulk_start(self, inputs: Iterable[Any]) -> list[models.Run]:
        """Do as ``bulk_start`` does, from a coroutine."""
        return await sync_to_async(self.bulk_start, thread_sensitive=True)(inputs)

    @property
    def _seconds(self) -> float | None:
        return self.delay.total_seconds() if isinstance(self.delay, timedelta) else self.delay

    @property
    def _meta(self) -> str | None:
        return None if self.meta is None else codec.dumps(dict(self.meta))


_DELAYS = (int, float, timedelta)
_LONGEST = 1_000_000_000
"""Seconds; thirty years. The database has 32 bits."""


class Flow(FlowDefinition):
    """A DAG of steps that code can start and a worker executes; see FlowDefinition for declaring it.

    Making one registers it.
    """

    def __init__(self, slug: str, **options: Unpack[FlowOptions]) -> None:
        super().__init__(slug, **options)
        registry.register(self)

    @property
    def runs(self) -> QuerySet[models.Run]:
        """The runs of this flow."""
        from django_pgflow import models

        return models.Run.objects.using(conf.get().DATABASE).filter(flow_slug=self.slug)

    def using(self, **options: Unpack[StartOptions]) -> Starter:
        """Return what starts this flow as told: ``flow.using(key="order-5", delay=60).start(order_id=5)``.

        Raises:
            TypeError, ValueError: An option is unknown, of the wrong type, or does not go with another.
        """
        return Starter(flow=self).using(**options)

    def start(self, /, *args: Any, **kwargs: Any) -> models.Run:
        """Start a run, in the transaction that is open on the connection, if any.

        ``flow.start(order_id=5)`` has the input ``{"order_id": 5}``, ``flow.start([1, 2])`` the list itself, and
        ``flow.start()`` has ``{}``.

        Raises:
            FlowNotInstalled: The database does not know the flow.
            InvalidInput: The flow maps over its input, which is no list.
            NotSerializable: The input cannot be stored as JSON.
        """
        return Starter(flow=self).start(*args, **kwargs)

    async def astart(self, /, *args: Any, **kwargs: Any) -> models.Run:
        """Do as ``start`` does, from a coroutine."""
        return await Starter(flow=self).astart(*args, **kwargs)

    def bulk_start(self, inputs: Iterable[Any]) -> list[models.Run]:
        """Start a run for each input, all in one statement. Returns them in the order of the inputs.

        Raises:
            FlowNotInstalled, InvalidInput, NotSerializable: As ``start`` does; then nothing was started.
        """
        return Starter(flow=self).bulk_start(inputs)

    async def abulk_start(self, inputs: Iterable[Any]) -> list[models.Run]:
        """Do as ``bulk_start`` does, from a coroutine."""
        return await Starter(flow=self).abulk_start(inputs)

    def input_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the input that the arguments of ``start`` mean."""
        if len(args) > 1 or (args and kwargs):
            raise TypeError(
                f"A run of the flow {self.slug!r} has one input: give one positional argument, or keyword arguments "
                f"for a dict, not {len(args)} positional and {len(kwargs)} keyword arguments."
            )
        return args[0] if args else kwargs

    def encode_input(self, value: Any) -> str:
        """Return an input as JSON text.

        Raises:
            InvalidInput, NotSerializable: As ``start`` does.
        """
        if self.root_maps and not isinstance(value, list | tuple):
            raise exceptions.InvalidInput(
                self.slug,
                f"its step {self.root_maps[0]!r} maps over the input, which must be a list, "
                f"not a {type(value).__name__}.",
            )
        return codec.dumps(value)


def start_flow(flow_slug: str, /, *args: Any, **kwargs: Any) -> models.Run:
    """Start a run of the flow that is registered under a slug; see ``Flow.start``.

    Raises:
        FlowNotFound: None is registered under it.
    """
    flow = registry.get(flow_slug)
    if not isinstance(flow, Flow):
        raise TypeError(f"{flow!r} is a definition only; make a django_pgflow.Flow to start it.")
    return flow.start(*args, **kwargs)
