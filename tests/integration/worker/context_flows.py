"""A flow whose handlers ask for all that a context has, in processes."""

from __future__ import annotations

import time
from typing import Any

from django_pgflow import Context, Flow, get_context

idle = Flow("ctx_idle", max_attempts=1, timeout=30)


@idle.step
def nothing() -> None: ...


elsewhere = Flow("ctx_elsewhere", max_attempts=1, timeout=30)


@elsewhere.map(executor="processes")
def ask(number: int, ctx: Context) -> list[Any]:
    for done in range(3):
        ctx.progress(done, 10, "on the way")
        time.sleep(0.6)
    ctx.progress(10, 10, "done")
    ctx.check()
    try:
        ctx.extend(60)
    except RuntimeError as error:
        refusal = str(error)
    child = ctx.start(idle, number=number)
    context = get_context()
    assert context is not None
    return [context.step_slug, ctx.flow_input, ctx.meta, ctx.run.flow_slug, str(child.pk), refusal]
