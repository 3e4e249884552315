"""A graph as SVG, for pages of any colour: no script, no style of its own beyond attributes, all text escaped."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from django_pgflow.graph import layout
from django_pgflow.graph.topology import Graph

HEIGHT = 44
FONT = "ui-sans-serif, system-ui, sans-serif"


@dataclass(frozen=True, kw_only=True)
class Node:
    """What to draw for one node. Nothing of it is trusted.

    Attributes:
        id: Its name in the edges; becomes ``data-node``.
        label: The first line; by default the id.
        detail: A smaller second line, as ``"3 of 5"``.
        css_class: Classes of its group, besides ``pgflow-node``.
        fill, stroke, text: Colours as CSS has them; ``var(--...)`` works. By default the page's own colours.
        dashed: Whether the outline is dashed.
        href: Where a click leads.
        title: What shows under the pointer.
        stacked: Whether to draw it as a stack, as a map step is.
    """

    id: str
    label: str = ""
    detail: str = ""
    css_class: str = ""
    fill: str = ""
    stroke: str = ""
    text: str = ""
    dashed: bool = False
    href: str = ""
    title: str = ""
    stacked: bool = False

    @property
    def lines(self) -> list[str]:
        """The lines of text."""
        return [_short(line) for line in (self.label or self.id, self.detail) if line]

    @property
    def width(self) -> float:
        """Room for the longest line; an estimate, as nothing here knows the font."""
        return max(84.0, max(len(line) for line in self.lines) * 7.4 + 28)


def draw(
    nodes: Iterable[Node], edges: Iterable[tuple[str, str]], *, title: str = "", css_class: str = ""
) -> SafeString:
    """Draw a graph from left to right.

    Args:
        nodes: The nodes, in the order in which they were declared.
        edges: Pairs (parent, child) of ids.
        title: Read out to those who do not see the drawing.
        css_class: Classes of the svg element, besides ``pgflow-graph``.

    Returns:
        An svg element for use in HTML. Nodes are ``g.pgflow-node[data-node]``, edges
        ``path.pgflow-edge[data-from][data-to]``. Colours that are not given come from the CSS variables of Django's
        admin, with fallbacks, and so follow its light and dark theme.

    Raises:
        ValueError: There is a cycle, or an edge to an unknown node.
    """
    known = {node.id: node for node in nodes}
    dependencies: dict[str, list[str]] = {id: [] for id in known}
    for parent, child in edges:
        if parent not in known or child not in known:
            raise ValueError(f"The edge {parent!r} -> {child!r} leads to a node that is not drawn.")
        dependencies[child].append(parent)
    placed = layout.layered(Graph.of(dependencies), {id: node.width for id, node in known.items()}, height=HEIGHT)
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" class="pgflow-graph {css_class}" role="img" aria-label="{title}" '
        'viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="{font}">'
        '<g fill="none" stroke="var(--body-quiet-color, #888)" stroke-width="1.5">{edges}</g>{nodes}</svg>',
        css_class=css_class,
        title=title or "Graph",
        width=_number(placed.width),
        height=_number(placed.height),
        font=FONT,
        edges=format_html_join(
            "",
            '<path class="pgflow-edge" data-from="{}" data-to="{}" d="{}"/><path d="{}"/>',
            ((parent, child, _curve(way), _arrow(*way[-1])) for (parent, child), way in placed.ways.items()),
        ),
        nodes=format_html_join("", "{}", ((_draw_node(known[id], box),) for id, box in placed.boxes.items())),
    )


def _draw_node(node: Node, box: layout.Box) -> SafeString:
    outline = format_html(
        'fill="{}" stroke="{}" stroke-width="1.5"{}',
        node.fill or "var(--darkened-bg, #f8f8f8)",
        node.stroke or "var(--border-color, #ccc)",
        format_html(' stroke-dasharray="{}"', "4 3") if node.dashed else "",
    )
    sheets = [8, 4, 0] if node.stacked else [0]
    rectangles = format_html_join(
        "",
        '<rect x="{}" y="{}" width="{}" height="{}" rx="6" {}/>',
        (
            (
                _number(box.x + shift),
                _number(box.y + shift),
                _number(box.width - 8 * node.stacked),
                _number(box.height - 8 * node.stacked),
                outline,
            )
            for shift in sheets
        ),
    )
    middle = box.middle - 4 * node.stacked
    across = box.x + box.width / 2 - 4 * node.stacked
    lines = node.lines
    offsets = [(-3, 13), (12, 11)] if len(lines) == 2 else [(4.5, 13)]
    texts = format_html_join(
        "",
        '<text x="{}" y="{}" font-size="{}" text-anchor="middle" fill="{}"{}>{}</text>',
        (
            (
                _number(across),
                _number(middle + down),
                size,
                node.text or "var(--body-fg, #333)",
                format_html(' opacity="{}"', "0.8") if index else "",
                line,
            )
            for index, (line, (down, size)) in enumerate(zip(lines, offsets, strict=True))
        ),
    )
    shapes = format_html(
        '<g class="pgflow-node {}" data-node="{}">{}{}{}</g>',
        node.css_class,
        node.id,
        format_html("<title>{}</title>", node.title) if node.title else "",
        rectangles,
        texts,
    )
    return format_html('<a href="{}">{}</a>', _safe_href(node.href), shapes) if node.href else shapes


def _curve(way: list[tuple[float, float]]) -> str:
    """Return path data through the points: curves between columns, straight across one."""
    commands = [f"M{_number(way[0][0])} {_number(way[0][1])}"]
    for (x, y), (next_x, next_y) in itertools.pairwise(way):
        if y == next_y:
            commands.append(f"H{_number(next_x)}")
        else:
            half = _number((x + next_x) / 2)
            commands.append(f"C{half} {_number(y)} {half} {_number(next_y)} {_number(next_x)} {_number(next_y)}")
    return " ".join(commands)


def _arrow(x: float, y: float) -> str:
    return f"M{_number(x - 6)} {_number(y - 4)} L{_number(x)} {_number(y)} L{_number(x - 6)} {_number(y + 4)}"


def _safe_href(href: str) -> str:
    """Return a link that is a path, a fragment, or http; anything else, as ``javascript:``, becomes ``#``."""
    return href if href.startswith(("/", "#", "?", "http://", "https://")) else "#"


def _short(line: str, most: int = 40) -> str:
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
