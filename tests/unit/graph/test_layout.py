"""Places of nodes: in order from left to right, none over another, edges from box to box."""

from __future__ import annotations

import itertools
import random

import pytest

from django_pgflow.graph import layout
from django_pgflow.graph.topology import Graph


def some_graph(seed: int, size: int) -> Graph:
    rng = random.Random(seed)
    nodes = [f"n{index}" for index in range(size)]
    return Graph.of(
        {node: rng.sample(nodes[:index], min(index, rng.randint(0, 3))) for index, node in enumerate(nodes)}
    )


@pytest.mark.parametrize(("seed", "size"), [(seed, size) for seed in range(6) for size in (1, 2, 7, 25)])
def test_nodes_do_not_overlap_and_edges_lead_to_the_right(seed: int, size: int) -> None:
    graph = some_graph(seed, size)
    placed = layout.layered(graph, {node: 80 + len(node) for node in graph.nodes}, spacing=10)
    for one, other in itertools.combinations(placed.boxes.values(), 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        below = one.y + one.height + 9.5 <= other.y or other.y + other.height + 9.5 <= one.y
        assert beside or below
    assert set(placed.ways) == set(graph.edges)
    for (parent, child), way in placed.ways.items():
        assert way[0] == (placed.boxes[parent].x + placed.boxes[parent].width, placed.boxes[parent].middle)
        assert way[-1] == (placed.boxes[child].x, placed.boxes[child].middle)
        assert [x for x, _ in way] == sorted(x for x, _ in way)
    for box in placed.boxes.values():
        assert box.x >= 0
        assert box.x + box.width <= placed.width
        assert box.y >= 0
        assert box.y + box.height <= placed.height


def test_a_crossing_that_can_be_avoided_is_avoided() -> None:
    graph = Graph.of({"a": [], "b": [], "under_b": ["b"], "under_a": ["a"]})
    placed = layout.layered(graph, dict.fromkeys(graph.nodes, 80.0))
    assert (placed.boxes["a"].y < placed.boxes["b"].y) == (placed.boxes["under_a"].y < placed.boxes["under_b"].y)


def test_a_chain_is_straight() -> None:
    graph = Graph.of({"a": [], "b": ["a"], "c": ["b"]})
    assert len({box.y for box in layout.layered(graph, dict.fromkeys(graph.nodes, 80.0)).boxes.values()}) == 1


def test_an_empty_graph_has_an_empty_drawing() -> None:
    assert layout.layered(Graph.of({}), {}).boxes == {}
