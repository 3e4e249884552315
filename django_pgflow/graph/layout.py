"""Places for the nodes of a graph, in layers, and the ways of its edges between them.

Sugiyama's method in its plain form: a layer for each level, a stand-in node wherever an edge crosses a layer, a few
sweeps that sort each layer by the middle of its neighbours, then coordinates. Flows are small; no step needs more.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django_pgflow.graph.topology import Graph

SWEEPS = 8


@dataclass(frozen=True, kw_only=True)
class Box:
    """A place for a node: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Half way down."""
        return self.y + self.height / 2


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A drawing from left to right.

    Attributes:
        width, height: The size of the whole.
        boxes: A box for each node.
        ways: For each edge (parent, child) the points that it runs through.
    """

    width: float
    height: float
    boxes: Mapping[str, Box]
    ways: Mapping[tuple[str, str], list[tuple[float, float]]]


@dataclass(frozen=True)
class _Bend:
    """A stand-in for an edge in a layer that it crosses."""

    edge: tuple[str, str]
    level: int


_Node = str | _Bend


@dataclass(frozen=True)
class _Layers:
    """Nodes and bends by layer, and their links, each to the next layer."""

    layers: list[list[_Node]]
    before: Mapping[_Node, list[_Node]]
    after: Mapping[_Node, list[_Node]]


def layered(
    graph: Graph,
    widths: Mapping[str, float],
    *,
    height: float = 44,
    gap: float = 56,
    spacing: float = 18,
    margin: float = 8,
) -> Layout:
    """Place the nodes of a graph, each level of it in a column.

    Args:
        graph: What to place.
        widths: The width of each node.
        height: Of each node.
        gap: Between two columns.
        spacing: Between two nodes of a column.
        margin: Around the whole.
    """
    drawn = _layers(graph)
    _untangle(drawn)
    tops = _tops(drawn, height + spacing)
    columns: list[tuple[float, float]] = []
    x = margin
    for layer in drawn.layers:
        width = max(widths[node] for node in layer if isinstance(node, str))
        columns.append((x, x + width))
        x += width + gap
    boxes = {
        node: Box(
            x=(columns[level][0] + columns[level][1] - widths[node]) / 2,
            y=margin + tops[node],
            width=widths[node],
            height=height,
        )
        for level, layer in enumerate(drawn.layers)
        for node in layer
        if isinstance(node, str)
    }
    ways = {edge: [(boxes[edge[0]].x + boxes[edge[0]].width, boxes[edge[0]].middle)] for edge in graph.edges}
    for level, layer in enumerate(drawn.layers):
        for node in layer:
            if isinstance(node, _Bend):
                y = margin + tops[node] + height / 2
                ways[node.edge] += [(columns[level][0], y), (columns[level][1], y)]
    for edge, way in ways.items():
        way.append((boxes[edge[1]].x, boxes[edge[1]].middle))
    return Layout(
        width=(columns[-1][1] if columns else margin) + margin,
        height=max(tops.values(), default=-height) + height + 2 * margin,
        boxes=boxes,
        ways=ways,
    )


def _layers(graph: Graph) -> _Layers:
    layers: list[list[_Node]] = [list(level) for level in graph.levels]
    level_of = {node: level for level, nodes in enumerate(graph.levels) for node in nodes}
    before: dict[_Node, list[_Node]] = {node: [] for node in graph.nodes}
    after: dict[_Node, list[_Node]] = {node: [] for node in graph.nodes}
    for parent, child in graph.edges:
        last: _Node = parent
        for level in range(level_of[parent] + 1, level_of[child] + 1):
            if level < level_of[child]:
                node: _Node = _Bend((parent, child), level)
                layers[level].append(node)
                before[node], after[node] = [], []
            else:
                node = child
            after[last].append(node)
            before[node].append(last)
            last = node
    return _Layers(layers, before, after)


def _untangle(drawn: _Layers) -> None:
    """Sort each layer so that few edges cross."""
    best, least = [list(layer) for layer in drawn.layers], _crossings(drawn)
    for sweep in range(SWEEPS):
        if not least:
            break
        if sweep % 2 == 0:
            for fixed, layer in itertools.pairwise(drawn.layers):
                _sort(layer, fixed, drawn.before)
        else:
            for layer, fixed in reversed(list(itertools.pairwise(drawn.layers))):
                _sort(layer, fixed, drawn.after)
        crossings = _crossings(drawn)
        if crossings < least:
            best, least = [list(layer) for layer in drawn.layers], crossings
    drawn.layers[:] = best


def _sort(layer: list[_Node], fixed: list[_Node], links: Mapping[_Node, list[_Node]]) -> None:
    """Sort a layer by the middle of each node's neighbours in the fixed one; nodes without any keep their places."""
    places, neighbours = _places(layer), _places(fixed)
    layer.sort(key=lambda node: _mean((neighbours[neighbour] for neighbour in links[node]), places[node]))


def _tops(drawn: _Layers, step: float) -> dict[_Node, float]:
    """Return a height for each node: near the middle of its neighbours, no two of a layer nearer than ``step``."""
    tops = {node: place * step for layer in drawn.layers for place, node in enumerate(layer)}
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        links = drawn.before if forth else drawn.after
        for layer in drawn.layers if forth else reversed(drawn.layers):
            wanted = [_mean((tops[neighbour] for neighbour in links[node]), tops[node]) for node in layer]
            tops.update(zip(layer, _apart(wanted, step), strict=True))
    highest = min(tops.values(), default=0.0)
    return {node: round(top - highest, 1) for node, top in tops.items()}


def _apart(wanted: list[float], step: float) -> list[float]:
    """Return ascending places near the wanted ones, no two nearer than ``step``."""
    pushed_down, pushed_up = list(wanted), list(wanted)
    for index in range(1, len(wanted)):
        pushed_down[index] = max(wanted[index], pushed_down[index - 1] + step)
    for index in reversed(range(len(wanted) - 1)):
        pushed_up[index] = min(wanted[index], pushed_up[index + 1] - step)
    return [(down + up) / 2 for down, up in zip(pushed_down, pushed_up, strict=True)]


def _crossings(drawn: _Layers) -> int:
    """Count the pairs of links that cross."""
    count = 0
    for left, right in itertools.pairwise(drawn.layers):
        places = _places(right)
        ends = [end for node in left for end in sorted(places[child] for child in drawn.after[node])]
        count += sum(later < earlier for index, earlier in enumerate(ends) for later in ends[index + 1 :])
    return count


def _places(layer: Iterable[_Node]) -> dict[_Node, int]:
    return {node: place for place, node in enumerate(layer)}


def _mean(values: Iterable[float], otherwise: float) -> float:
    found = list(values)
    return statistics.fmean(found) if found else otherwise
