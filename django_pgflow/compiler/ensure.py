"""Compares all flows with the database, and writes what may be written."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from django.db import DataError, IntegrityError, InternalError, ProgrammingError, transaction

from django_pgflow import exceptions, registry
from django_pgflow.compiler import drift, shape, statements
from django_pgflow.compiler.shape import FlowShape, StepShape
from django_pgflow.db import core
from django_pgflow.db.core.definitions import Definitions
from django_pgflow.db.database import Database
from django_pgflow.dsl.definition import FlowDefinition

logger = logging.getLogger(__name__)

REFUSALS = (DataError, IntegrityError, InternalError, ProgrammingError)
"""What the database says to a flow that it cannot take; a lost connection is not among them."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What ``sync`` found and did.

    Attributes:
        installed: False if the core is not in the database, and so nothing was done.
        created: Slugs of flows that are new there.
        updated: For each flow whose options were written, what had differed.
        recreated: For each flow that was deleted and created again, what had differed.
        unchanged: Slugs of flows that agreed.
        refused: For each flow that was left as it is although it differs, why. No worker may serve it.
        orphans: Slugs of flows that are in the database and not in the code; they are left alone.
    """

    installed: bool = True
    created: list[str] = field(default_factory=list)
    updated: dict[str, tuple[str, ...]] = field(default_factory=dict)
    recreated: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    refused: dict[str, exceptions.PgflowError] = field(default_factory=dict)
    orphans: list[str] = field(default_factory=list)


def sync(
    flows: Mapping[str, FlowDefinition], *, using: str, verbosity: int = 1, recreate: Collection[str] = ()
) -> Report:
    """Make the database agree with flows of the code, in one transaction, one process at a time.

    A flow that the database lacks is created. Options, and the order of steps, are updated. A flow with other steps is
    created anew if it has no runs, else refused: the report says so, and the other flows are not affected. Nothing
    else is deleted.

    Args:
        flows: The flows by slug.
        using: The database alias.
        verbosity: 0 logs what was done; 1 prints it, refusals to stderr; 2 prints orphans, too.
        recreate: Slugs of flows to be created anew, if their steps differ, even if that deletes their runs.

    Raises:
        FlowNotFound: ``recreate`` names a flow that is not among ``flows``.
    """
    for slug in recreate:
        if slug not in flows:
            raise exceptions.FlowNotFound(slug, flows)
    database = Database(using)
    if not database.one(statements.is_installed()):
        return Report(installed=False)
    report = Report()
    with transaction.atomic(using=using):
        database.run(statements.lock())
        stored = _stored(database)
        report.orphans.extend(_orphans(stored, flows))
        for slug, flow in flows.items():
            try:
                # A savepoint: what one flow cannot have done must not undo the others.
                with transaction.atomic(using=using):
                    if slug not in stored:
                        _refuse_queue_twins(database, flow)
                    _ensure(database, shape.of(flow), stored.get(slug), report, recreate=slug in recreate)
            except (exceptions.ShapeMismatch, exceptions.FlowDefinitionError, exceptions.NotSupported) as error:
                report.refused[slug] = error
            except REFUSALS as error:
                report.refused[slug] = exceptions.PgflowError(
                    f"The flow {slug!r} was not written to the database {using!r}, which said: {error}"
                )
    _tell(report, using, verbosity)
    return report


def differences(flows: Mapping[str, FlowDefinition], *, using: str, options: bool = True) -> dict[str, list[str]]:
    """Return for each flow of the code what differs in the database; a flow that agrees is not in the dict.

    Args:
        flows: The flows by slug.
        using: The database alias.
        options: False looks at steps alone, for a worker that may serve a flow with other options.

    Raises:
        CoreMissing: The core is not in the database.
    """
    database = Database(using)
    if not database.one(statements.is_installed()):
        raise exceptions.CoreMissing(using)
    stored = _stored(database)
    found: dict[str, list[str]] = {}
    for slug, flow in flows.items():
        if slug not in stored:
            found[slug] = ["the flow is not in the database"]
        else:
            drifted = drift.compare(shape.of(flow), stored[slug])
            lines = [*drifted.shape, *(drifted.options if options else ())]
            if lines:
                found[slug] = lines
    return found


def orphans(flows: Mapping[str, FlowDefinition], *, using: str) -> list[str]:
    """Return the slugs of flows that are in the database and not in the code."""
    return _orphans(_stored(Database(using)), flows)


def run_count(flow_slug: str, *, using: str) -> int:
    """Return how many runs of a flow there are."""
    return Database(using).one(statements.count_runs(flow_slug))


def _orphans(stored: Collection[str], flows: Mapping[str, FlowDefinition]) -> list[str]:
    # A worker syncs the flows that it serves; the others of the code are no orphans for that.
    known = {*flows, *registry.all_flows()}
    return [slug for slug in stored if slug not in known]


def _stored(database: Database) -> dict[str, FlowShape]:
    rows = database.run(statements.flows())
    steps = database.run(_definitions(database).steps([row["flow_slug"] for row in rows]))
    return {
        row["flow_slug"]: shape.read(row, [step for step in steps if step["flow_slug"] == row["flow_slug"]])
        for row in rows
    }


def _ensure(database: Database, code: FlowShape, stored: FlowShape | None, report: Report, *, recreate: bool) -> None:
    if stored is None:
        _create(database, code)
        report.created.append(code.slug)
        return
    drifted = drift.compare(code, stored)
    if drifted.shape:
        _recreate(database, code, drifted.shape, delete_runs=recreate)
        report.recreated[code.slug] = drifted.shape
    elif drifted.options:
        _update(database, code)
        report.updated[code.slug] = drifted.options
    else:
        report.unchanged.append(code.slug)


def _refuse_queue_twins(database: Database, flow: FlowDefinition) -> None:
    twins = database.run(statements.queue_twins(flow.slug))
    if twins:
        raise exceptions.FlowDefinitionError(
            f"The flow {flow.slug!r} would share the table of the queue {twins[0]!r}, which differs in case only. "
            "Rename the flow.",
            location=flow.location,
            check_id="pgflow.E003",
        )


def _definitions(database: Database) -> Definitions:
    return core.definitions_for_alias(database.alias)


def _create(database: Database, code: FlowShape) -> None:
    definitions = _definitions(database)
    database.run(statements.create_flow(code))
    for step in code.steps:
        database.run(definitions.add_step(code.slug, step))
        if step.concurrency_limit is not None:
            _set_limit(database, code.slug, step)


def _recreate(database: Database, code: FlowShape, differing: tuple[str, ...], *, delete_runs: bool) -> None:
    database.run(statements.lock_flow(code.slug))
    count = database.one(statements.count_runs(code.slug))
    if count and not delete_runs:
        raise exceptions.ShapeMismatch(code.slug, differing, count)
    if count:
        database.run(_definitions(database).delete_flow_and_data(code.slug))
    else:
        for statement in statements.delete_definition(code.slug):
            database.run(statement)
    _create(database, code)


def _update(database: Database, code: FlowShape) -> None:
    database.run(statements.update_flow(code))
    database.run(statements.move_steps_away(code.slug))
    for index, step in enumerate(code.steps):
        database.run(statements.update_step(code.slug, index, step))
        _set_limit(database, code.slug, step)


def _set_limit(database: Database, flow_slug: str, step: StepShape) -> None:
    for statement in _definitions(database).set_limit(flow_slug, step):
        database.run(statement)


def _tell(report: Report, using: str, verbosity: int) -> None:
    done = [f"Flow {slug!r} was created." for slug in report.created]
    done += [f"Flow {slug!r} was updated: {'; '.join(lines)}." for slug, lines in report.updated.items()]
    done += [f"Flow {slug!r} was created anew: {'; '.join(lines)}." for slug, lines in report.recreated.items()]
    for line in done:
        if verbosity:
            sys.stdout.write(f"  {line}\n")
        else:
            logger.info("%s database=%s", line, using)
    for error in report.refused.values():
        if verbosity:
            sys.stderr.write(f"WARNING: {error}\n")
        else:
            logger.warning("%s database=%s", error, using)
    if report.orphans and verbosity > 1:
        sys.stdout.write(f"  In the database, not in the code, and left alone: {', '.join(report.orphans)}.\n")
