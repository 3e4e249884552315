"""A graph as Mermaid text, for documents that draw it themselves."""

from __future__ import annotations

from collections.abc import Collection

from django_pgflow.graph.topology import Graph


def flowchart(graph: Graph, *, stacked: Collection[str] = ()) -> str:
    """Return a Mermaid flowchart of a graph whose nodes are slugs.

    Args:
        graph: The graph.
        stacked: Nodes to be drawn as a stack, as map steps are.
    """
    # Prefixed ids, since a slug may be a word of Mermaid's, as `end` is.
    lines = ["flowchart LR"]
    for node in graph.nodes:
        lines.append(f"    step_{node}" + (f'[["{node}"]]' if node in stacked else f'["{node}"]'))
    lines += [f"    step_{parent} --> step_{child}" for parent, child in graph.edges]
    return "\n".join(lines) + "\n"
