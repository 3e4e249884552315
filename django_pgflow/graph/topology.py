"""A directed acyclic graph as an order."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Graph:
    """Nodes, in the order in which they were declared, and what each depends on.

    Attributes:
        dependencies: For each node the nodes it depends on, all of them keys, too.
    """

    dependencies: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, dependencies: Mapping[str, Iterable[str]]) -> Graph:
        """Make a graph; a node that only occurs as a dependency is added.

        Raises:
            ValueError: There is a cycle.
        """
        known = {node: tuple(dict.fromkeys(parents)) for node, parents in dependencies.items()}
        for parents in list(known.values()):
            for parent in parents:
                known.setdefault(parent, ())
        graph = cls(known)
        graph.order  # noqa: B018 - evaluated here, so that a cycle is an error of the maker
        return graph

    @property
    def nodes(self) -> list[str]:
        """All nodes, as declared."""
        return list(self.dependencies)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Pairs (parent, child)."""
        return [(parent, node) for node, parents in self.dependencies.items() for parent in parents]

    @property
    def roots(self) -> list[str]:
        """Nodes without dependencies."""
        return [node for node, parents in self.dependencies.items() if not parents]

    @property
    def leaves(self) -> list[str]:
        """Nodes that nothing depends on."""
        parents = {parent for parent, _ in self.edges}
        return [node for node in self.dependencies if node not in parents]

    @cached_property
    def order(self) -> list[str]:
        """All nodes, each after those that it depends on."""
        try:
            return list(graphlib.TopologicalSorter(self.dependencies).static_order())
        except graphlib.CycleError as error:
            raise ValueError(f"The graph has a cycle: {' -> '.join(reversed(error.args[1]))}.") from error

    @cached_property
    def levels(self) -> list[list[str]]:
        """Nodes by the length of the longest way that leads to them; within a level as declared."""
        depth: dict[str, int] = {}
        for node in self.order:
            depth[node] = max((depth[parent] + 1 for parent in self.dependencies[node]), default=0)
        levels: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
        for node in self.dependencies:
            levels[depth[node]].append(node)
        return levels
