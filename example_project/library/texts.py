"""The texts that the example site serves; `texts/SOURCES.md` says whose they are and why they are free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "texts"


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text: its name in URLs, its title, who wrote it and when, and its paragraphs."""

    slug: str
    title: str
    byline: str
    paragraphs: tuple[str, ...]


def slugs() -> list[str]:
    """Return the names of all texts, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def load(slug: str) -> Text | None:
    """Return a text, or None if there is none of that name."""
    if slug not in slugs():
        return None
    heading, *paragraphs = (FOLDER / f"{slug}.txt").read_text(encoding="utf-8").strip().split("\n\n")
    title, byline = heading.splitlines()
    return Text(slug=slug, title=title, byline=byline, paragraphs=tuple(paragraphs))
