"""The example flows on real input, and how each of them should end."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Sum

from django_pgflow import client, models
from django_pgflow.statuses import RunStatus
from example_project.demo.problems import Problem
from example_project.library import texts
from example_project.penguins.flows import import_penguins
from example_project.penguins.models import Penguin, RejectedRow, SpeciesSummary
from example_project.publishing.flows import publish_digest
from example_project.publishing.models import Digest
from example_project.websites.flows import analyze_website
from example_project.websites.models import WebsiteReport


@dataclass(frozen=True, kw_only=True)
class Example:
    """A run, and a function that says in a line what came of it, or raises ``Problem`` if it is not as it should be."""

    run: models.Run
    verify: Callable[[models.Run], str]

    def report(self) -> str:
        """Return what came of the run, now that it has ended."""
        self.run.refresh_from_db()
        text = self.verify(self.run)
        return f"  {self.run.flow_slug} {str(self.run.pk)[:8]} {self.run.status}: {text}"


def start() -> list[Example]:
    """Start what needs no help: a run for each page of the library, and the import."""
    pages = [f"{settings.SITE_URL}/texts/{slug}/" for slug in texts.slugs()]
    runs = analyze_website.bulk_start({"url": page} for page in pages)
    examples = [Example(run=run, verify=_verify_website) for run in runs]
    examples.append(Example(run=import_penguins.start(file="penguins_raw.csv"), verify=_verify_import))
    return examples


def start_digest() -> Example:
    """Start the flow that waits for a person: it fails until its digest is approved."""
    digest = Digest.objects.create(title=f"Digest {Digest.objects.count() + 1}")
    return Example(run=publish_digest.start(digest=digest.pk), verify=_verify_not_approved)


def approve_and_retry(example: Example) -> Example:
    """Do what the person would do in the admin: tick *approved*, then retry the failed task."""
    digest = Digest.objects.get(pk=example.run.input["digest"])
    digest.approved = True
    digest.save(update_fields=["approved"])
    outcomes = [record.outcome for record in client.retry_tasks([(example.run.pk, "approval", 0)])]
    _expect(outcomes == ["queued"], example.run, f"retrying approval gave {outcomes}, not ['queued']")
    return Example(run=example.run, verify=_verify_published)


def digest_page(example: Example) -> str:
    """Return the admin's page on which the digest is approved."""
    return f"{settings.SITE_URL}/admin/publishing/digest/{example.run.input['digest']}/change/"


def _verify_website(run: models.Run) -> str:
    output = _output(run)["save"]
    report = WebsiteReport.objects.filter(pk=output["report"], url=run.input["url"]).first()
    _expect(report is not None, run, "there is no report of the page")
    assert report is not None
    _expect(report.word_count > 100, run, f"the page had {report.word_count} words")
    summary = textwrap.shorten(report.summary, 100, placeholder=" ...")
    return f"{report.title}: {report.word_count} words, mood {report.mood:+.2f}\n      {summary}"


def _verify_import(run: models.Run) -> str:
    output = _output(run)["summary"]
    _expect((output["imported"], output["rejected"]) == (333, 11), run, f"333 rows and 11 bad ones, not {output}")
    _expect(Penguin.objects.count() == 333, run, f"333 penguins, not {Penguin.objects.count()}")
    _expect(RejectedRow.objects.count() == 11, run, f"11 rejected rows, not {RejectedRow.objects.count()}")
    _expect(SpeciesSummary.objects.count() == 5, run, f"5 groups, not {SpeciesSummary.objects.count()}")
    attempts = run.step_tasks.filter(step_slug="position").aggregate(sum=Sum("attempts_count"))["sum"]
    _expect(attempts > 3, run, "three islands were located without a retry, in spite of the rate limit")
    return (
        f"{output['imported']} rows imported, {output['rejected']} rejected, "
        f"3 islands located in {attempts} attempts, {output['groups']} groups summed up."
    )


def _verify_not_approved(run: models.Run) -> str:
    failed = [(task.step_slug, task.error_message or "") for task in run.step_tasks.failed()]
    _expect(run.status == RunStatus.FAILED and len(failed) == 1, run, f"one failed task, not {failed}")
    _expect(failed[0][0] == "approval" and "NotApproved" in failed[0][1], run, f"NotApproved, not {failed}")
    return "the step approval failed, as it should while nobody has approved."


def _verify_published(run: models.Run) -> str:
    output = _output(run)["publish"]
    digest = Digest.objects.get(pk=output["digest"])
    _expect(digest.published_at is not None, run, "the digest is not published")
    states = {state.step_slug: state for state in run.step_states.all()}
    _expect(
        states["collect"].completed_at < states["publish"].started_at and run.step_tasks.count() == 3,
        run,
        "the retry did not go on from the step that failed",
    )
    return f"after approval and retry, {digest.title!r} is published with {output['lines']} entries."


def _output(run: models.Run) -> Any:
    _expect(run.status == RunStatus.COMPLETED, run, f"it is {run.status}, not completed: {run.error}")
    return run.output


def _expect(condition: bool, run: models.Run, what: str) -> None:
    if not condition:
        raise Problem(f"The run {run.pk} of {run.flow_slug} did not end as it should: {what}")


def unfinished(examples: Iterable[Example]) -> list[models.Run]:
    """Bring the runs up to date and return those that go on."""
    runs = [example.run for example in examples]
    for run in runs:
        run.refresh_from_db()
    return [run for run in runs if run.status == RunStatus.STARTED]
