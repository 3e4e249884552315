"""The benchmarks' drivers keep to their protocol; nothing is measured here."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import limit, protocol

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests/benchmarks/peers"
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TO_BE_WRITTEN = {"setup", "worker_command", "start_one", "start_many", "unfinished", "clear"}


def parse(module: str) -> tuple[str, ast.ClassDef]:
    """Return the docstring and the driver of a module, whose library is not installed here."""
    tree = ast.parse((PEERS / f"{module}.py").read_text(encoding="utf-8"))
    (driver,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.endswith("Driver"))
    return ast.get_docstring(tree) or "", driver


def methods(driver: ast.ClassDef) -> set[str]:
    """Return a driver's public methods, those of its base in this folder among them."""
    (base,) = driver.bases
    assert isinstance(base, ast.Attribute)
    assert isinstance(base.value, ast.Name)
    inherited = set() if base.value.id == "protocol" else methods(parse(base.value.id)[1])
    own = {node.name for node in driver.body if isinstance(node, ast.FunctionDef)}
    return {name for name in own | inherited if not name.startswith("_")}


@pytest.mark.parametrize("peer", benchmarks.PEERS)
def test_a_peer_keeps_to_the_protocol(peer: str) -> None:
    docstring, driver = parse(peer)
    assert "https://" in docstring, "name the page of the documentation that the set-up is taken from"
    assert methods(driver) >= TO_BE_WRITTEN
    known = {name for name in dir(protocol.Driver) if not name.startswith("_")}
    assert methods(driver) - known <= {"connect", "value"}
    given = {node.targets[0].id for node in driver.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]
    assert "about" in given


def test_each_peer_has_an_extra_and_each_extra_a_peer() -> None:
    extras = {extra for extra in EXTRAS if extra.startswith("bench-")}
    assert {benchmarks.extra_of(peer) for peer in benchmarks.PEERS} == extras
    assert all(benchmarks.requirements(extra) for extra in extras)


@pytest.mark.parametrize("name", ["protocol", "drive"])
def test_what_runs_in_the_peers_environments_needs_nothing_but_python(name: str) -> None:
    tree = ast.parse((PEERS.parent / f"{name}.py").read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {str(module).split(".")[0] for module in imported} <= {*sys.stdlib_module_names, "tests"}


class Idle(protocol.Driver):
    """Does all at once."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def worker_command(self) -> list[str]:
        return ["sleep", "60"]

    def start_one(self) -> None: ...

    def start_many(self, count: int) -> None: ...

    def unfinished(self) -> bool:
        return False

    def chain(self) -> None:
        self.asked.append("chain")

    def map(self, size: int) -> None:
        self.asked.append(f"map of {size}")


def test_what_a_driver_cannot_do_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SETTLE", 0.0)
    driver = Idle()
    measured = dict(protocol.measure(driver, 0.01))
    assert set(measured) <= {workload.name for workload in protocol.WORKLOADS}
    assert {"start_one", "start_many", "singles", "singles_two", "chain_p95", "map_5000"} <= set(measured)
    assert "diamonds" not in measured
    assert driver.asked[-1] == "map of 50"


def test_a_worker_that_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Idle):
        def worker_command(self) -> list[str]:
            return ["false"]

        def unfinished(self) -> bool:
            return True

    with pytest.raises(protocol.GivenUp, match="a worker has ended"), protocol.workers(Broken(), 1):
        pass


def test_tables_show_medians_and_ratios() -> None:
    ours = benchmarks.Result(about="as it is", figures={"singles": [900.0, 1000.0, 5000.0], "diamonds": [800.0]})
    peer = benchmarks.Result(about="as well", figures={"singles": [500.0]}, notes=["given up: more than 120 s"])
    own = benchmarks.own_table(ours, protocol.WORKLOADS)
    assert "| 1,000 | 900 to 5,000 | 10,000 | tasks/s |" in own
    table = benchmarks.peer_table({benchmarks.OURS: ours, "celery": peer})
    assert "| 10,000 | 1,000 | 500 (2) |" in table
    assert "| 8,000 | 800 | - |" in table
    assert "given up: more than 120 s" in table


def test_the_page_has_a_place_for_each_table() -> None:
    page = benchmarks.DOCUMENT.read_text(encoding="utf-8")
    for begin, end in (benchmarks.MARKS, benchmarks.PEER_MARKS):
        assert page.index(begin) < page.index(end)
    assert {workload.unit for workload in limit.WORKLOADS} == {"commits/s", "tasks/s"}
