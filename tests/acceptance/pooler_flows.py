"""Flows whose handlers use the ORM, for workers behind a pooler."""

from __future__ import annotations

import time
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group

from django_pgflow import Context, Flow

groups = Flow("acc_groups", max_attempts=3, base_delay=1, timeout=20)


@groups.array
def names(flow_input: dict[str, Any]) -> list[str]:
    return [f"{flow_input['prefix']}{number}" for number in range(flow_input["count"])]


@groups.map(over=names, atomic=True)
def create(name: str, ctx: Context) -> int:
    group = Group.objects.create(name=name)
    if ctx.attempt == 1 and ctx.task_index % 10 == 3:
        raise ConnectionError("rolled back, and tried again")
    return group.pk


@groups.step
async def rename(create: list[int]) -> int:
    return await sync_to_async(_rename)(create)


def _rename(pks: list[int]) -> int:
    for group in Group.objects.filter(pk__in=pks).iterator():
        group.name += " renamed"
        group.save()
    return len(pks)


@groups.step
def count(rename: int, flow_input: dict[str, Any]) -> dict[str, int]:
    found = Group.objects.filter(name__startswith=flow_input["prefix"], name__endswith=" renamed")
    return {"renamed": rename, "found": found.count()}


steady = Flow("acc_steady", max_attempts=10, base_delay=1, timeout=60)


@steady.map
def work(number: int) -> int:
    time.sleep(0.02)
    Group.objects.get_or_create(name=f"steady {number}")
    return number


@steady.step
def total(work: list[int]) -> int:
    return sum(work)
