"""The flow ``publish_digest``, which fails on purpose until somebody approves: a place to practise *retry*.

collect --> approval --> publish
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from django_pgflow import Flow
from example_project.penguins.models import SpeciesSummary
from example_project.publishing.models import Digest
from example_project.websites.models import WebsiteReport

publish_digest = Flow("publish_digest", verbose_name="Publish a digest")


class NotApproved(Exception):
    """Nobody has approved the digest yet."""


@publish_digest.step
def collect() -> list[str]:
    """Write a line for each thing that the other flows found."""
    lines = [f"{report.title}: mood {report.mood:+.2f}. {report.summary}" for report in WebsiteReport.objects.all()]
    lines += [
        f"{group.species} on {group.island} ({group.latitude}, {group.longitude}): {group.penguin_count}, "
        f"{group.mean_body_mass_g:.0f} g on average."
        for group in SpeciesSummary.objects.all()
    ]
    return lines


@publish_digest.step(depends_on=[collect], max_attempts=1)
def approval(flow_input: dict[str, int]) -> str:
    """Fail at once, without a second attempt, while the digest is not approved: no waiting would change that."""
    digest = Digest.objects.get(pk=flow_input["digest"])
    if not digest.approved:
        page = settings.SITE_URL + reverse("admin:publishing_digest_change", args=[digest.pk])
        raise NotApproved(f"{digest.title!r} is not approved. Tick 'approved' on {page}, save, and retry this task.")
    return "approved"


@publish_digest.step(depends_on=[approval])
def publish(flow_input: dict[str, int], collect: list[str]) -> dict[str, Any]:
    """Publish; a second attempt writes the same."""
    digest = Digest.objects.get(pk=flow_input["digest"])
    digest.text = "\n\n".join(collect)
    digest.published_at = digest.published_at or timezone.now()
    digest.save(update_fields=["text", "published_at"])
    return {"digest": digest.pk, "lines": len(collect)}
