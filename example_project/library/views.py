"""Pages for the example flows to read: ordinary ones, and one that refuses who asks too often."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from example_project.library import gazetteer, texts


def index(request: HttpRequest) -> HttpResponse:
    """List the texts."""
    return render(request, "library/index.html", {"texts": [texts.load(slug) for slug in texts.slugs()]})


def text(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a text."""
    found = texts.load(slug)
    if found is None:
        raise Http404(f"No text is called {slug!r}.")
    return render(request, "library/text.html", {"text": found})


def island(request: HttpRequest, name: str) -> HttpResponse:
    """Say where an island lies; answer 429 to more than one request a second, as real services do."""
    wait = gazetteer.limit.acquire()
    if wait:
        return JsonResponse({"error": "One request a second, please."}, status=429, headers={"Retry-After": str(wait)})
    if name not in gazetteer.ISLANDS:
        raise Http404(f"No island is called {name!r}.")
    return JsonResponse({"name": name, **gazetteer.ISLANDS[name]})
