"""What the flow analyze_website says of a text."""

from __future__ import annotations

import pytest

from example_project.library import texts
from example_project.websites import analysis

PAGE = """
<html><head><title> A page </title><style>p { color: red }</style></head>
<body><nav>Home, About</nav>
<article><h1>A page</h1><p class="byline">Somebody, 1900</p><p>It was a   dark night.</p><p>Rain fell.</p></article>
<footer>Imprint</footer><script>alert("no")</script></body></html>
"""


def text_of(slug: str) -> str:
    text = texts.load(slug)
    assert text is not None
    return "\n\n".join(text.paragraphs)


def test_only_the_readable_part_of_a_page_is_read() -> None:
    assert analysis.readable_text(PAGE) == ("A page", "It was a dark night.\n\nRain fell.")


def test_a_page_without_paragraphs_is_read_whole() -> None:
    assert analysis.readable_text("<title>T</title><body>Just words.</body>") == ("T", "Just words.")


def test_a_merry_text_has_a_better_mood_than_a_murder() -> None:
    assert analysis.mood(text_of("christmas-morning"))["mood"] > 0.2
    assert analysis.mood(text_of("tell-tale-heart"))["mood"] < 0


@pytest.mark.parametrize("slug", texts.slugs())
def test_a_summary_is_made_of_sentences_of_the_text(slug: str) -> None:
    text = text_of(slug)
    parts = analysis.sentences(text)
    pairs = {f"{first} {second}" for n, first in enumerate(parts) for second in parts[n + 1 :]}
    assert analysis.summarize(text, count=2) in pairs


@pytest.mark.parametrize("text", ["", " \n\n ", "Word", "..."])
def test_texts_with_nothing_to_say_are_no_error(text: str) -> None:
    assert -1 <= analysis.mood(text)["mood"] <= 1
    assert analysis.summarize(text) in {"", "Word", "..."}


def test_the_gettysburg_address_has_its_272_words() -> None:
    assert analysis.word_count(text_of("gettysburg-address")) == 272
