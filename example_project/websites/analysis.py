"""What can be said of a text without asking anybody: all of it works offline.

The libraries, all pure Python, with what they know inside the package: beautifulsoup4 (MIT), vaderSentiment (MIT),
nupunkt (MIT), snowballstemmer (BSD-3-Clause).
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter

import bs4
import nupunkt
import snowballstemmer
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


def readable_text(html: str) -> tuple[str, str]:
    """Return title and text of a page, without its navigation, scripts and styles."""
    page = bs4.BeautifulSoup(html, "html.parser")
    title = page.title.get_text(strip=True) if page.title else ""
    for tag in page(["script", "style", "nav", "header", "footer", "h1"]):
        tag.decompose()
    body = page.find("article") or page.find("main") or page.body or page
    paragraphs = [
        re.sub(r"\s+", " ", tag.get_text()).strip() for tag in body.find_all("p", class_=lambda c: c != "byline")
    ]
    return title, "\n\n".join(p for p in paragraphs if p) or body.get_text(" ", strip=True)


def sentences(text: str) -> list[str]:
    """Split a text into sentences."""
    return [s.strip() for paragraph in text.split("\n\n") for s in nupunkt.sent_tokenize(paragraph) if s.strip()]


def mood(text: str) -> dict[str, float]:
    """Return the mean mood of a text's sentences, from -1 to 1, and the shares of good and bad ones."""
    scores = [_analyzer().polarity_scores(sentence)["compound"] for sentence in sentences(text)] or [0.0]
    return {
        "mood": round(sum(scores) / len(scores), 3),
        "good": round(sum(score > 0.05 for score in scores) / len(scores), 3),
        "bad": round(sum(score < -0.05 for score in scores) / len(scores), 3),
    }


def summarize(text: str, *, count: int = 2) -> str:
    """Return the ``count`` sentences that say most of what the whole says, in their order.

    A sentence is as good as its words are like those of the text: the cosine between the two, words counted by
    their stems, and the less the more sentences have them (the centroid method of Radev and others, 2000).
    """
    parts = sentences(text)
    bags = [Counter(_stems(sentence)) for sentence in parts]
    spread = Counter(stem for bag in bags for stem in bag)
    weight = {stem: math.log(1 + len(bags) / n) for stem, n in spread.items()}
    whole: Counter[str] = sum(bags, Counter())

    def likeness(bag: Counter[str]) -> float:
        shared = sum(bag[stem] * whole[stem] * weight[stem] ** 2 for stem in bag)
        return shared / (_length(bag, weight) * _length(whole, weight) or 1.0)

    best = sorted(range(len(parts)), key=lambda i: likeness(bags[i]), reverse=True)[:count]
    return " ".join(parts[i] for i in sorted(best))


def word_count(text: str) -> int:
    """Count the words of a text."""
    return len(re.findall(r"\w+(?:['\u2019]\w+)?", text))


def _length(bag: Counter[str], weight: dict[str, float]) -> float:
    return math.sqrt(sum((n * weight[stem]) ** 2 for stem, n in bag.items()))


def _stems(sentence: str) -> list[str]:
    return list(snowballstemmer.stemmer("english").stemWords(re.findall(r"[^\W\d_]+", sentence.lower())))


@functools.cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()
