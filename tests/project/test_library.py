"""The texts, and the service that refuses who asks too often."""

from __future__ import annotations

import pytest

from example_project.library import gazetteer, texts


def test_every_text_has_title_author_and_paragraphs() -> None:
    assert len(texts.slugs()) == 4
    for slug in texts.slugs():
        text = texts.load(slug)
        assert text is not None
        assert text.title
        assert text.byline[-4:].isdigit()
        assert len(text.paragraphs) >= 3


@pytest.mark.parametrize("slug", ["", "none", "../SOURCES", "SOURCES"])
def test_other_names_have_no_text(slug: str) -> None:
    assert texts.load(slug) is None


def test_every_text_has_its_source() -> None:
    sources = (texts.FOLDER / "SOURCES.md").read_text(encoding="utf-8")
    assert all(f"`{slug}.txt`" in sources for slug in texts.slugs())


def test_the_second_request_of_a_second_has_to_wait() -> None:
    limit = gazetteer.RateLimit(seconds=60)
    assert limit.acquire() == 0
    assert 1 <= limit.acquire() <= 60


def test_a_refused_request_does_not_move_the_limit() -> None:
    limit = gazetteer.RateLimit(seconds=0)
    assert [limit.acquire() for _ in range(3)] == [0, 0, 0]
