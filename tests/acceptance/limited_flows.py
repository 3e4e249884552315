"""A flow of which two tasks may run at a time, whatever workers there are; they wait at a gate."""

from __future__ import annotations

from django_pgflow import Context, Flow
from tests.acceptance import liveness_flows

limited = Flow("acc_limited", max_attempts=1, timeout=3600)


@limited.map(concurrency_limit=2)
def wait(folder: str, ctx: Context) -> int:
    return liveness_flows.wait(folder, ctx)
