"""A flow whose handler keeps memory."""

from __future__ import annotations

import time

from django_pgflow import Context, Flow
from tests.acceptance.flows import note

HELD: list[bytes] = []

leak = Flow("acc_leak", max_attempts=1, timeout=60)


@leak.map
def keep(megabytes: int, ctx: Context) -> int:
    note(ctx)
    HELD.append(b"x" * (megabytes * 2**20))
    time.sleep(0.3)
    return len(HELD)
