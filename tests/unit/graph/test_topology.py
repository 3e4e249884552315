"""A graph as an order."""

from __future__ import annotations

import pytest

from django_pgflow.graph.topology import Graph


def test_levels_follow_the_longest_way_and_keep_the_declared_order() -> None:
    graph = Graph.of({"z": [], "a": [], "m": ["z", "a"], "far": ["m", "z"], "also": ["a"]})
    assert graph.levels == [["z", "a"], ["m", "also"], ["far"]]
    assert graph.roots == ["z", "a"]
    assert graph.leaves == ["far", "also"]
    assert graph.edges == [("z", "m"), ("a", "m"), ("m", "far"), ("z", "far"), ("a", "also")]


def test_an_edge_named_twice_is_one_and_unknown_parents_are_nodes() -> None:
    graph = Graph.of({"b": ["a", "a"]})
    assert graph.edges == [("a", "b")]
    assert graph.nodes == ["b", "a"]


def test_an_empty_graph_has_no_levels() -> None:
    assert (Graph.of({}).levels, Graph.of({}).order) == ([], [])


def test_a_cycle_is_named() -> None:
    with pytest.raises(ValueError, match=r"The graph has a cycle: (a -> b|b -> a)"):
        Graph.of({"a": ["b"], "b": ["a"]})
