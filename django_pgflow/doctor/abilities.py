"""What follows from the version of a core that others installed: what it cannot do, and where it is dangerous."""

from __future__ import annotations

from collections.abc import Iterator

from django_pgflow.db.capabilities import Capabilities
from django_pgflow.doctor.diagnosis import Finding, Level


def missing(found: Capabilities) -> Iterator[Finding]:
    """Yield what our Python offers and the core does not have."""
    yield _missing("control", "Cancelling and resuming runs, retrying failed tasks: no public function does that.")
    yield _missing("delayed_start", "Starting a run later (delay, at).")
    yield _missing(
        "handler_decisions",
        "NonRetryable and SkipStep: such a task is reported as failed, and retried while attempts are left. "
        "RetryAfter(count=False) costs an attempt.",
    )
    yield _missing("limits", "Limits for all workers together (concurrency_limit): flows that use them are refused.")
    yield _missing("speed", "Claiming and reporting in sets: each task takes several round trips; workers poll.")
    yield _missing("models", "Reading the model StepTask, which has columns of our own; StepTaskRow has what is there.")
    if not found.has_conditions:
        yield _missing(
            "conditions",
            "Conditions (only_if, unless) and skipping (when_unmet, when_exhausted), which need pgflow 0.14: flows "
            "that use them are refused.",
        )
    if found.has_requeue:
        yield _missing(
            "giving_back",
            "Giving tasks back when a worker stops: they stay started until they are found stalled, 30 seconds after "
            "their flow's timeout.",
        )
    else:
        yield _missing(
            "giving_back",
            "Giving tasks back when a worker stops: they are reported as failed, which costs an attempt.",
        )
    if not found.has_compilation:
        yield _missing("deleting", "Deleting a flow with its runs (pgflow_sync --recreate), which needs pgflow 0.10.")
    if not found.has_worker_end:
        yield _missing(
            "worker_end",
            "Noting that a worker has stopped, which needs pgflow 0.10: its last sign of life is all there is. The "
            "model Worker cannot be read, nor the pages that show it.",
        )


def dangers(found: Capabilities) -> Iterator[Finding]:
    """Yield where work can be lost or repeated, whatever we do."""
    yield _danger(
        "no_fence",
        "Reports name neither worker nor attempt. Ours compare both before they report; those of other workers do not, "
        "so a late one can fail or complete a task that a worker of ours is executing.",
    )
    yield _danger(
        "double_claim",
        "Two workers that hold one message may both be given its task. Ours check whose it is; others may not.",
    )
    yield _danger(
        "revived_task",
        "Of two failures that race in one run, the later one can queue its task again in the failed run, without a "
        "message; its task then waits for ever.",
    )
    if not found.has_requeue:
        yield _danger(
            "never_recovered",
            "Tasks of workers that die stay started for ever, and so do their runs: pgflow before 0.13.2 gives no task "
            "back. They are listed here once they are overdue.",
        )
    else:
        yield _danger(
            "stalled_for_good",
            "A task whose worker died four times is given up without an end: its run stays started for ever. Such runs "
            "are listed here.",
        )
    if any(name.startswith("pgflow.ensure_flow_compiled(") for name in found.functions):
        yield _danger(
            "recompiling_deletes",
            "ensure_flow_compiled deletes a flow whose steps changed, with all its runs, where is_local() is true or "
            "the caller allows it. We never call it; workers of others may.",
        )
    if found.has_conditions:
        yield _danger(
            "conditions_ignored",
            "The condition of a step that depends on an empty map is not looked at: the step runs, met or not.",
        )


def _missing(code: str, text: str) -> Finding:
    return Finding(level=Level.MISSING, code=code, text=text)


def _danger(code: str, text: str) -> Finding:
    return Finding(level=Level.DANGEROUS, code=code, text=text)
