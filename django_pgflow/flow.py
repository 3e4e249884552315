"""A flow that is registered and can start: the definition joined to the client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from asgiref.sync import sync_to_async

from django_pgflow import client, conf, exceptions, registry
from django_pgflow.dsl import codec
from django_pgflow.dsl.definition import FlowDefinition, FlowOptions

if TYPE_CHECKING:
    # At run time only inside functions: this module is imported before Django's apps are ready.
    from django.db.models import QuerySet

    from django_pgflow import models


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

    def start(self, /, *args: Any, **kwargs: Any) -> models.Run:
        """Start a run, in the transaction that is open on the connection, if any.

        ``flow.start(order_id=5)`` has the input ``{"order_id": 5}``, ``flow.start([1, 2])`` the list itself, and
        ``flow.start()`` has ``{}``.

        Raises:
            FlowNotInstalled: The database does not know the flow.
            InvalidInput: The flow maps over its input, which is no list.
            NotSerializable: The input cannot be stored as JSON.
        """
        return self.bulk_start([self._input(args, kwargs)])[0]

    async def astart(self, /, *args: Any, **kwargs: Any) -> models.Run:
        """Do as ``start`` does, from a coroutine."""
        return await sync_to_async(lambda: self.start(*args, **kwargs), thread_sensitive=True)()

    def bulk_start(self, inputs: Iterable[Any]) -> list[models.Run]:
        """Start a run for each input, all in one statement. Returns them in the order of the inputs.

        Raises:
            FlowNotInstalled, InvalidInput, NotSerializable: As ``start`` does; then nothing was started.
        """
        from django_pgflow import models

        using = conf.get().DATABASE
        records = client.start(self.slug, [self._encode(value) for value in inputs], using=using)
        return [models.Run.from_record(record, using) for record in records]

    async def abulk_start(self, inputs: Iterable[Any]) -> list[models.Run]:
        """Do as ``bulk_start`` does, from a coroutine."""
        return await sync_to_async(self.bulk_start, thread_sensitive=True)(inputs)

    def _input(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) > 1 or (args and kwargs):
            raise TypeError(
                f"A run of the flow {self.slug!r} has one input: give one positional argument, or keyword arguments "
                f"for a dict, not {len(args)} positional and {len(kwargs)} keyword arguments."
            )
        return args[0] if args else kwargs

    def _encode(self, value: Any) -> str:
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
