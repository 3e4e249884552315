"""How single values look: statuses, durations, JSON, errors. All text is escaped here."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models.functions import Cast, Left
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

EMPTY = "-"
PAGE_JSON = 20_000
"""Characters of a JSON value that its own page shows at most."""
TABLE_JSON = 500
"""Characters of a JSON value that a row of a table shows at most."""
FOLD_LINES = 12
"""Longer texts are folded."""


def status(value: str, label: str = "") -> SafeString:
    """Return a status as a coloured badge with its word."""
    return format_html('<span class="pgflow-status pgflow-{}">{}</span>', value, label or value)


def duration(value: timedelta | None) -> str:
    """Return a duration in its two largest units: ``0.42 s``, ``12 s``, ``3 min 4 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if value is None:
        return EMPTY
    seconds = max(value.total_seconds(), 0.0)
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def moment(value: datetime | None) -> SafeString | str:
    """Return a time to the second, short enough for a list; the whole under the pointer."""
    if value is None:
        return EMPTY
    local = timezone.localtime(value)
    day = date_format(local, "j M" if local.year == timezone.localtime().year else "j M Y")
    return format_html(
        '<time class="nowrap" datetime="{}" title="{}">{}</time>', local.isoformat(), local, f"{day}, {local:%H:%M:%S}"
    )


def short(run_id: Any) -> str:
    """Return the part of a run's id that people read."""
    return str(run_id)[:8]


def link(url: str, text: Any, title: str = "") -> SafeString:
    """Return a link."""
    return format_html('<a href="{}" title="{}">{}</a>', url, title, text)


def run_url(run_id: Any) -> str:
    """Return the address of a run's page."""
    return reverse("admin:pgflow_run_change", args=[run_id])


def excerpt(text: str | None, length: int = 120) -> SafeString | str:
    """Return the first line of a text, cut short; the whole excerpt appears under the pointer."""
    if not text:
        return EMPTY
    lines = text.strip().splitlines() or [""]
    return format_html(
        '<span class="pgflow-error" title="{}">{}</span>',
        Truncator(text).chars(1000),
        Truncator(lines[0]).chars(length),
    )


def block(text: str, *, cut: bool = False, error: bool = False, summary: str = "") -> SafeString | str:
    """Return a text of several lines, folded if it is long.

    Args:
        text: The text.
        cut: Whether to say that it goes on.
        error: Whether it is an error.
        summary: What stands for it while it is folded; by default its first line.
    """
    if not text:
        return EMPTY
    css = "pgflow-text pgflow-error" if error else "pgflow-text"
    body = format_html('<pre class="{}">{}{}</pre>', css, text, _("\n... cut short here") if cut else "")
    lines = text.count("\n") + 1
    if lines <= FOLD_LINES and len(text) <= 1000:
        return body
    count = ngettext("%(lines)d line", "%(lines)d lines", lines) % {"lines": lines}
    first = Truncator(summary or next((line for line in text.splitlines() if line.strip()), "")).chars(60)
    return format_html("<details><summary>{}: <code>{}</code></summary>{}</details>", count, first, body)


def json_text(field: str, length: int = PAGE_JSON) -> models.Func:
    """Return the expression that reads a JSON column as text, cut by the database: a value may be of any size."""
    return Left(Cast(field, models.TextField()), length + 1)


def json_block(text: str | None, length: int = PAGE_JSON) -> SafeString | str:
    """Return what ``json_text`` read, indented where it is whole.

    Args:
        text: JSON text of at most ``length`` + 1 characters, or None for an absent value.
        length: As given to ``json_text``.
    """
    if text is None:
        return EMPTY
    if len(text) > length:
        return block(text[:length], cut=True)
    value = json.loads(text)
    if not isinstance(value, (dict, list)) or len(text) <= 60:
        return format_html('<code class="pgflow-inline">{}</code>', text)
    return block(json.dumps(value, indent=2, ensure_ascii=False), summary=text)


def json_of(obj: models.Model, field: str) -> SafeString | str:
    """Return a JSON column of a row that was read without it."""
    rows = type(obj)._base_manager.using(obj._state.db).filter(pk=obj.pk)
    return json_block(rows.order_by().values_list(json_text(field), flat=True).first())
