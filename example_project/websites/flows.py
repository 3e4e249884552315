"""The flow ``analyze_website``: fetch a page, judge and summarize it side by side, save what was found.

         .-> sentiment -.
fetch --<                >--> save
         '-> summary ---'
"""

from __future__ import annotations

from typing import Any

import requests

from django_pgflow import Flow
from example_project.websites import analysis
from example_project.websites.models import WebsiteReport

analyze_website = Flow("analyze_website", verbose_name="Analyze a website")


@analyze_website.step
def fetch(flow_input: dict[str, str]) -> dict[str, Any]:
    """Get the page; whatever goes wrong on the way raises, and is tried again."""
    response = requests.get(flow_input["url"], timeout=10, headers={"User-Agent": "django-pgflow example"})
    response.raise_for_status()
    response.encoding = response.apparent_encoding
    title, text = analysis.readable_text(response.text)
    return {"title": title, "text": text, "word_count": analysis.word_count(text)}


@analyze_website.step
def sentiment(fetch: dict[str, Any]) -> dict[str, float]:
    """Judge the mood; runs at the same time as ``summary``."""
    return analysis.mood(fetch["text"])


@analyze_website.step
def summary(fetch: dict[str, Any]) -> str:
    """Pick the sentences that say most."""
    return analysis.summarize(fetch["text"])


@analyze_website.step
async def save(
    flow_input: dict[str, str], fetch: dict[str, Any], sentiment: dict[str, float], summary: str
) -> dict[str, Any]:
    """Keep one report for each URL, so that a second attempt changes nothing."""
    report, _ = await WebsiteReport.objects.aupdate_or_create(
        url=flow_input["url"],
        defaults={
            "title": fetch["title"][:300],
            "word_count": fetch["word_count"],
            "mood": sentiment["mood"],
            "summary": summary,
        },
    )
    return {"report": report.pk, "title": report.title, "mood": report.mood}
