"""The drawing: well formed, escaped, coloured as asked."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from django.utils.safestring import SafeString

from django_pgflow.graph import mermaid, svg
from django_pgflow.graph.topology import Graph

SVG = "{http://www.w3.org/2000/svg}"
EVIL = """"><script>alert('x')</script>&"""


def test_nodes_and_edges_can_be_found() -> None:
    drawn = svg.draw([svg.Node(id="a"), svg.Node(id="b", detail="3 of 5")], [("a", "b")], title="A flow")
    assert isinstance(drawn, SafeString)
    root = ElementTree.fromstring(drawn)
    assert root.get("aria-label") == "A flow"
    groups = root.findall(f".//{SVG}g[@data-node]")
    assert [group.get("data-node") for group in groups] == ["a", "b"]
    assert [text.text for text in groups[1].iter(f"{SVG}text")] == ["b", "3 of 5"]
    (edge,) = root.findall(f".//{SVG}path[@class='pgflow-edge']")
    assert (edge.get("data-from"), edge.get("data-to")) == ("a", "b")


def test_a_node_takes_colours_class_link_and_title() -> None:
    node = svg.Node(
        id="a", label="Load", fill="#efe", stroke="green", css_class="is-done", href="/runs/?a=1&b=2", title="1 s"
    )
    root = ElementTree.fromstring(svg.draw([node], []))
    link = root.find(f"{SVG}a")
    assert link is not None
    assert link.get("href") == "/runs/?a=1&b=2"
    group = link.find(f"{SVG}g")
    assert group is not None
    assert group.get("class") == "pgflow-node is-done"
    assert group.findtext(f"{SVG}title") == "1 s"
    assert group.findtext(f"{SVG}text") == "Load"
    rect = group.find(f"{SVG}rect")
    assert rect is not None
    assert (rect.get("fill"), rect.get("stroke")) == ("#efe", "green")


def test_a_stacked_node_has_three_sheets_and_a_dashed_one_dashes() -> None:
    root = ElementTree.fromstring(svg.draw([svg.Node(id="a", stacked=True), svg.Node(id="b", dashed=True)], []))
    stacked, dashed = root.findall(f".//{SVG}g[@data-node]")
    assert len(stacked.findall(f"{SVG}rect")) == 3
    assert [rect.get("stroke-dasharray") for rect in dashed.findall(f"{SVG}rect")] == ["4 3"]


def test_nothing_that_is_given_becomes_markup() -> None:
    node = svg.Node(
        id=EVIL, label=EVIL, detail=EVIL, css_class=EVIL, fill=EVIL, stroke=EVIL, text=EVIL, href=f"/{EVIL}", title=EVIL
    )
    drawn = svg.draw([node, svg.Node(id="b")], [(EVIL, "b")], title=EVIL, css_class=EVIL)
    assert "<script" not in drawn
    root = ElementTree.fromstring(drawn)
    assert {element.tag for element in root.iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "g", "path", "a", "rect", "text", "title")
    }
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]


@pytest.mark.parametrize("href", ["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "JaVaScRiPt:1"])
def test_a_link_that_runs_code_is_dropped(href: str) -> None:
    assert 'href="#"' in svg.draw([svg.Node(id="a", href=href)], [])


def test_an_edge_to_nowhere_and_a_cycle_are_errors() -> None:
    with pytest.raises(ValueError, match="'a' -> 'x' leads to a node that is not drawn"):
        svg.draw([svg.Node(id="a")], [("a", "x")])
    with pytest.raises(ValueError, match="cycle"):
        svg.draw([svg.Node(id="a"), svg.Node(id="b")], [("a", "b"), ("b", "a")])


def test_no_nodes_are_an_empty_drawing() -> None:
    ElementTree.fromstring(svg.draw([], []))


def test_mermaid_names_nodes_and_edges() -> None:
    assert mermaid.flowchart(Graph.of({"a": [], "end": ["a"]}), stacked=["end"]) == (
        'flowchart LR\n    step_a["a"]\n    step_end[["end"]]\n    step_a --> step_end\n'
    )
