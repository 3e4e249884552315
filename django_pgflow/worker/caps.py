"""Caps: how many tasks of a flow, and of a step, one worker has in hand at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from django_pgflow.db.records import ANY_ROOM, Rooms
from django_pgflow.worker.task import Task

if TYPE_CHECKING:
    from django_pgflow.dsl.definition import FlowDefinition


class Caps:
    """What flows and steps say of ``worker_concurrency``.

    Args:
        flows: The flows of the worker, by slug.
        flow_concurrency: What the worker was told, in place of what the flows say.
    """

    def __init__(self, flows: Mapping[str, FlowDefinition], flow_concurrency: Mapping[str, int]) -> None:
        caps = {slug: flow_concurrency.get(slug, flow.worker_concurrency) for slug, flow in flows.items()}
        self._flows = {slug: cap for slug, cap in caps.items() if cap is not None}
        self._steps = {
            (flow.slug, step.slug): step.worker_concurrency
            for flow in flows.values()
            for step in flow.steps.values()
            if step.worker_concurrency is not None
        }

    def rooms(self, in_hand: Callable[[], Iterable[Task]], capacity: int) -> Rooms:
        """Return what there is room for, of the flows and steps that may get less than ``capacity``.

        Args:
            in_hand: Returns the tasks that are being executed, or wait for a slot.
            capacity: How many more tasks the worker wants.
        """
        if not self._flows and not self._steps:
            return ANY_ROOM
        flows: Counter[str] = Counter()
        steps: Counter[tuple[str, str]] = Counter()
        for task in in_hand():
            flows[task.flow.slug] += 1
            steps[task.flow.slug, task.step.slug] += 1
        step_rooms: dict[str, dict[str, int]] = {}
        for (flow_slug, step_slug), cap in self._steps.items():
            room = cap - steps[flow_slug, step_slug]
            if room < capacity:
                step_rooms.setdefault(flow_slug, {})[step_slug] = room
        return Rooms(
            flows={slug: cap - flows[slug] for slug, cap in self._flows.items() if cap - flows[slug] < capacity},
            steps=step_rooms,
        )
